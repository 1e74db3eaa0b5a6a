//! The path of the library in generated code.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, ExprLit, ExprPath, Lit, Meta, Path, Result, Token};

/// The path by which generated code names the library: `::syshandle`, or the path in
/// `crate = my_sdk::syshandle`.
#[derive(Clone, Debug, Default)]
pub struct Library(Option<Path>);

impl Library {
    /// Reads the value of `crate = …`: a path, or a string with a path.
    ///
    /// # Errors
    /// Fails if the value is something else.
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

    /// Reads the path in the attribute `#[syshandle(crate = …)]` of a type, if it has one.
    ///
    /// # Errors
    /// Fails if the attribute has another form, or if there is a second one.
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

    /// Returns the path with the position of `span`, for code whose errors are reported there.
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

/// Returns an expression without the invisible group around an argument of a macro.
pub(crate) fn ungrouped(mut of: &Expr) -> &Expr {
    while let Expr::Group(group) = of {
        of = &group.expr;
    }
    of
}
