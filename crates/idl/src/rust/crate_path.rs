//! The path of the library in generated Rust source.

use std::fmt;
use std::str::FromStr;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Path;
use syn::parse::Parser;

/// The path of syshandle in generated Rust source, such as `my_sdk::syshandle`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CratePath(String);

impl CratePath {
    /// Returns the tokens of the path.
    pub(super) fn tokens(&self) -> TokenStream {
        // The text was checked when it was parsed.
        self.0.parse().unwrap_or_default()
    }
}

/// Parses a path of identifiers without generic arguments.
impl FromStr for CratePath {
    type Err = CratePathError;

    fn from_str(text: &str) -> Result<Self, CratePathError> {
        match Path::parse_mod_style.parse_str(text) {
            Ok(path) => Ok(Self(path.to_token_stream().to_string().replace(' ', ""))),
            Err(_) => Err(CratePathError(text.to_owned())),
        }
    }
}

impl fmt::Display for CratePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error of a text that is not a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CratePathError(String);

impl fmt::Display for CratePathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not the path of a crate or module", self.0.escape_debug())
    }
}

impl std::error::Error for CratePathError {}
