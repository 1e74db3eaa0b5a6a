//! Converts traits to the model. Each error has the span of the token that causes it.

mod growth;
mod handle;
mod method;
mod range;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ExprLit, ItemTrait, Lit, Meta, Result, Token, TraitItem};

pub use growth::{added, grows, unknown};
pub use handle::handle;
pub use range::range;

use crate::library::ungrouped;
use crate::{Interface, Library, parse_guid};

/// Converts a trait to the model. `arguments` are the arguments of its `#[interface(…)]` attribute.
/// Also returns the path of the library, which can be one of these arguments.
///
/// # Errors
/// Returns all errors in the trait, each with its position and a suggested correction.
pub fn interface(arguments: TokenStream, item: ItemTrait) -> Result<(Interface, Library)> {
    let mut errors = Errors::default();
    let arguments = errors.keep(self::arguments(arguments));
    check_head(&item, &mut errors);
    let mut methods = Vec::new();
    for item in &item.items {
        match item {
            TraitItem::Fn(function) => methods.extend(errors.keep(method::method(function))),
            other => errors.push(Error::new(
                other.span(),
                "an interface has methods only: move this to another trait",
            )),
        }
    }
    errors.finish()?;
    let Arguments { iid, is_private, library } = arguments.unwrap_or_default();
    let interface = Interface {
        iid,
        docs: docs(&item.attrs),
        visibility: item.vis.to_token_stream(),
        name: item.ident,
        bases: Vec::new(),
        is_private,
        methods,
    };
    Ok((interface, library))
}

/// The arguments of `#[interface(…)]`.
#[derive(Default)]
struct Arguments {
    iid: [u8; 16],
    is_private: bool,
    library: Library,
}

fn arguments(arguments: TokenStream) -> Result<Arguments> {
    const MISSING: &str = "an interface needs an identifier of its own, made once and never changed: \
                           write `#[interface(iid = \"…\")]` with the output of `uuidgen`";
    if arguments.is_empty() {
        return Err(Error::new(Span::call_site(), MISSING));
    }
    let list = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(arguments.clone())?;
    let (mut iid, mut is_private, mut library) = (None, false, None);
    for argument in list {
        let Meta::NameValue(pair) = argument else {
            return Err(Error::new_spanned(arguments, MISSING));
        };
        if pair.path.is_ident("iid") && iid.is_none() {
            iid = Some(guid(&pair.value)?);
        } else if pair.path.is_ident("com") && !is_private {
            is_private = is_text(&pair.value, "private");
            if !is_private {
                let what = "only `com = \"private\"` is known here";
                return Err(Error::new_spanned(pair.value, what));
            }
        } else if pair.path.is_ident("crate") && library.is_none() {
            library = Some(Library::parse(&pair.value)?);
        } else {
            let what = "only `iid = \"…\"`, `com = \"private\"` and `crate = my_sdk::syshandle` are \
                        known here, each once";
            return Err(Error::new_spanned(pair.path, what));
        }
    }
    let iid = iid.ok_or_else(|| Error::new_spanned(arguments, MISSING))?;
    Ok(Arguments { iid, is_private, library: library.unwrap_or_default() })
}

/// Returns whether an expression is a string literal with this value.
fn is_text(of: &Expr, text: &str) -> bool {
    matches!(ungrouped(of), Expr::Lit(ExprLit { lit: Lit::Str(known), .. }) if known.value() == text)
}

/// Parses a string literal that contains a GUID.
///
/// # Errors
/// Returns an error if the expression isn't a string literal or doesn't contain a GUID.
pub fn guid(value: &Expr) -> Result<[u8; 16]> {
    let text = match ungrouped(value) {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text,
        other => return Err(Error::new_spanned(other, "write the identifier as a string")),
    };
    parse_guid(&text.value()).ok_or_else(|| {
        let what = "an identifier is written as 8-4-4-4-12 hexadecimal digits";
        Error::new_spanned(text, what)
    })
}

/// Checks all parts of a trait except its methods.
fn check_head(item: &ItemTrait, errors: &mut Errors) {
    if !item.generics.params.is_empty() {
        let what = "an interface has one form on the wire: it can't be generic";
        errors.push(Error::new_spanned(&item.generics, what));
    }
    if !item.supertraits.is_empty() {
        let what = "an interface is `Send + Sync + 'static` by itself, and has no other supertraits; \
                    an object may have several interfaces instead";
        errors.push(Error::new_spanned(&item.supertraits, what));
    }
    if let Some(token) = &item.unsafety {
        errors.push(Error::new_spanned(token, "an interface is safe to implement"));
    }
    errors.keep(item.modifiers.require_empty());
    refuse_attributes(&item.attrs, "documentation", errors);
}

/// Reports attributes that aren't allowed, because the generated code would not contain them.
/// `allowed` lists the allowed ones, for the message.
fn refuse_attributes<'a>(
    attributes: impl IntoIterator<Item = &'a Attribute>,
    allowed: &str,
    errors: &mut Errors,
) {
    for attribute in attributes.into_iter().filter(|of| !of.path().is_ident("doc")) {
        errors.push(Error::new_spanned(attribute, format!("only {allowed} can stand here")));
    }
}

/// Returns the lines of the documentation in the attributes.
pub fn docs(attributes: &[Attribute]) -> Vec<String> {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    lines.collect()
}

/// Collects errors, so that all of them are reported together.
#[derive(Debug, Default)]
pub struct Errors(Option<Error>);

impl Errors {
    /// Adds an error.
    pub fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// Returns the value of a result. If it is an error, adds the error and returns `None`.
    pub fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// Returns an error that contains all collected errors, if there are any.
    ///
    /// # Errors
    /// The collected errors.
    pub fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}
