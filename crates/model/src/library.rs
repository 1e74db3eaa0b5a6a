//! The path by which generated code refers to syshandle.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, ExprLit, ExprPath, Lit, Meta, Path, Result, Token};

/// The path by which generated code refers to syshandle: `::syshandle`, or the path in an argument
/// such as `crate = my_sdk::syshandle`.
#[derive(Clone, Debug, Default)]
pub struct Library(Option<Path>);

impl Library {
    /// Parses the value of `crate = …`, which is a path or a string that contains a path.
    ///
    /// # Errors
    /// Returns an error for any other value.
    pub fn parse(value: &Expr) -> Result<Self> {
        let path = match ungrouped(value) {
            Expr::Path(ExprPath { qself: None, path, .. }) => path.clone(),
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text.parse()?,
            other => {
                let what = "write the path of the library: `crate = my_sdk::syshandle`";
                return Err(Error::new_spanned(other, what));
            }
        };
        Ok(Self(Some(path)))
    }

    /// Returns the path from a type's attribute `#[syshandle(crate = …)]`, or the default path if
    /// the attribute is absent.
    ///
    /// # Errors
    /// Returns an error if the attribute has another form or is repeated.
    pub fn of_type(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        for attribute in attributes.iter().filter(|of| of.path().is_ident("syshandle")) {
            let list =
                attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
            for argument in list {
                match argument {
                    Meta::NameValue(pair) if pair.path.is_ident("crate") && found.0.is_none() => {
                        found = Self::parse(&pair.value)?;
                    }
                    other => {
                        let what = "only `crate = my_sdk::syshandle` is known here, once";
                        return Err(Error::new_spanned(other, what));
                    }
                }
            }
        }
        Ok(found)
    }

    /// Returns the path with the given span, so that the compiler reports errors there.
    pub fn at(&self, span: Span) -> TokenStream {
        let Self(Some(path)) = self else { return quote_spanned!(span=> ::syshandle) };
        let tokens = path.to_token_stream().into_iter().map(|mut token: TokenTree| {
            token.set_span(token.span().located_at(span));
            token
        });
        tokens.collect()
    }
}

impl ToTokens for Library {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match &self.0 {
            Some(path) => path.to_tokens(tokens),
            None => tokens.extend(self.at(Span::call_site())),
        }
    }
}

/// Removes the invisible group that surrounds an expression passed through a macro.
pub(crate) fn ungrouped(mut of: &Expr) -> &Expr {
    while let Expr::Group(group) = of {
        of = &group.expr;
    }
    of
}
