//! The error type of this crate's COM functions.

use std::fmt;

use windows_sys::core::HRESULT;

use crate::hresult::Hresult;
use crate::tables::TableError;

/// An error of a COM function, or of building an interface's format strings.
#[derive(Debug)]
#[non_exhaustive]
pub enum ComError {
    /// A COM function returned this HRESULT.
    Failed(Hresult),
    /// The interface is too large for COM's format strings.
    FormatStrings(TableError),
}

impl ComError {
    /// Converts the HRESULT of a COM function to a `Result`.
    pub(super) fn check(hresult: HRESULT) -> Result<(), Self> {
        match hresult {
            0.. => Ok(()),
            failed => Err(Self::Failed(Hresult(failed))),
        }
    }

    pub(super) fn tables(error: TableError) -> Self {
        Self::FormatStrings(error)
    }

    /// Returns the HRESULT if the error is that of a COM function.
    pub fn hresult(&self) -> Option<Hresult> {
        match self {
            Self::Failed(hresult) => Some(*hresult),
            Self::FormatStrings(_) => None,
        }
    }
}

/// Formats the HRESULT and the system's text for it.
impl fmt::Display for ComError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(hresult) => {
                let text = std::io::Error::from_raw_os_error(hresult.0);
                write!(f, "{hresult}: {text}")
            }
            Self::FormatStrings(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ComError {}
