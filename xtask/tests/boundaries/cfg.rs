//! Evaluates `cfg` conditions to determine which code is compiled for a platform.

use std::path::PathBuf;

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Lit, Meta, Token};

use crate::source::{Platform, Reader};

impl Reader {
    /// Returns whether an item with these attributes is product code on the platform.
    pub(crate) fn keeps(&self, attributes: &[Attribute]) -> bool {
        attributes.iter().all(|attribute| match &attribute.meta {
            Meta::List(list) if list.path.is_ident("cfg") => {
                let predicate = list.parse_args::<Meta>();
                predicate.map_or(true, |predicate| self.holds(&predicate) != Some(false))
            }
            _ => true,
        })
    }

    /// Returns the paths in `#[path = "…"]` attributes, including those in `cfg_attr`.
    pub(crate) fn path_attributes(&self, attributes: &[Attribute]) -> Vec<PathBuf> {
        let metas = attributes.iter().flat_map(|attribute| match &attribute.meta {
            Meta::List(list) if list.path.is_ident("cfg_attr") => {
                let mut parts = list_parts(list).unwrap_or_default().into_iter();
                let applies = parts.next().is_some_and(|part| self.holds(&part) != Some(false));
                parts.filter(|_| applies).collect()
            }
            meta => vec![meta.clone()],
        });
        let paths = metas.filter_map(|meta| match meta {
            Meta::NameValue(pair) if pair.path.is_ident("path") => string(&pair.value),
            _ => None,
        });
        paths.map(PathBuf::from).collect()
    }

    /// Evaluates a `cfg` predicate. Returns `None` if its value doesn't depend only on the
    /// platform.
    pub(crate) fn holds(&self, predicate: &Meta) -> Option<bool> {
        if self.platform == Platform::Any {
            return None;
        }
        let is_windows = self.platform == Platform::Windows;
        match predicate {
            Meta::Path(path) if path.is_ident("test") => Some(false),
            Meta::Path(path) if path.is_ident("windows") => Some(is_windows),
            Meta::Path(path) if path.is_ident("unix") => Some(!is_windows),
            Meta::NameValue(pair) if pair.path.is_ident("target_os") => {
                let is_value = string(&pair.value).is_some_and(|value| value == "windows");
                // The platform `Unix` represents several systems. For it, the result is known only
                // if the predicate compares with `windows`.
                (is_windows || is_value).then_some(is_windows == is_value)
            }
            Meta::List(list) => {
                let parts = list_parts(list)?;
                let mut parts = parts.iter().map(|part| self.holds(part));
                match list.path.get_ident()?.to_string().as_str() {
                    "not" => parts.next()?.map(|holds| !holds),
                    "all" => all(parts),
                    // One of the predicates holds unless all of them are false.
                    "any" => all(parts.map(|part| part.map(|holds| !holds))).map(|none| !none),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Returns whether all predicates hold, or `None` if that is unknown.
fn all(predicates: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let of_two = |one, other| match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    };
    predicates.fold(Some(true), of_two)
}

/// Parses the parts of `name(…, …)`. Fails if `true` or `false` is among them.
fn list_parts(list: &syn::MetaList) -> Option<Vec<Meta>> {
    let parts = Punctuated::<Meta, Token![,]>::parse_terminated;
    list.parse_args_with(parts).ok().map(|parts| parts.into_iter().collect())
}

fn string(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(syn::ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}
