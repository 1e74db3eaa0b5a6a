//! Parses the attributes of types that can grow: `#[grows]`, `#[added]` and `#[unknown]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DataEnum, Error, Fields, Ident, Meta, Result, Token, Type};

use crate::Added;

/// Returns whether a type has the attribute `#[grows]`. Checks the attributes of its fields and
/// variants.
///
/// # Errors
/// Returns an error if an attribute has another form, is repeated, or contradicts another one.
pub fn grows(attributes: &[Attribute], data: &Data) -> Result<bool> {
    let grows = word(attributes, "grows")?;
    for misplaced in ["added", "unknown"] {
        if let Some(attribute) = find(attributes, misplaced)? {
            let what = "move this attribute to a field (`#[added]`) or a variant (`#[unknown]`)";
            return Err(Error::new_spanned(attribute, what));
        }
    }
    match data {
        Data::Struct(data) => check_struct(grows, &data.fields)?,
        Data::Enum(data) => check_enum(grows, data)?,
        Data::Union(_) => {}
    }
    Ok(grows)
}

/// Returns the content of the attribute `#[added]` of a field, if present.
///
/// # Errors
/// Returns an error if the attribute has another form or is repeated.
pub fn added(attributes: &[Attribute]) -> Result<Option<Added>> {
    let Some(attribute) = find(attributes, "added")? else { return Ok(None) };
    let mut added = Added { is_required: false, default: None };
    let arguments = match &attribute.meta {
        Meta::Path(_) => Punctuated::new(),
        _ => attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?,
    };
    for argument in arguments {
        match argument {
            Meta::Path(path) if path.is_ident("required") && !added.is_required => {
                added.is_required = true;
            }
            Meta::NameValue(pair) if pair.path.is_ident("default") && added.default.is_none() => {
                added.default = Some(pair.value);
            }
            other => {
                let what = "only `required` and `default = …` are known here, each once";
                return Err(Error::new_spanned(other, what));
            }
        }
    }
    Ok(Some(added))
}

/// Returns the name of the variant with the attribute `#[unknown]`, if present.
///
/// # Errors
/// Returns an error if the attribute has another form or is repeated.
pub fn unknown(data: &DataEnum) -> Result<Option<&Ident>> {
    let mut found = None;
    for variant in &data.variants {
        if !word(&variant.attrs, "unknown")? {
            continue;
        }
        if found.is_some() {
            let what = "one variant stands for all unknown ones: remove `#[unknown]` here";
            return Err(Error::new_spanned(variant, what));
        }
        if !matches!(variant.fields, Fields::Unit) {
            let what = "the fields of an unknown variant can't be read: remove the fields here";
            return Err(Error::new_spanned(&variant.fields, what));
        }
        found = Some(&variant.ident);
    }
    Ok(found)
}

impl Added {
    /// Returns an expression for the default of the field, which has this type.
    pub fn default_value(&self, ty: &Type) -> TokenStream {
        match &self.default {
            Some(value) => value.to_token_stream(),
            // Uses the span of the type, so that the compiler reports a missing default there.
            None => {
                let span = ty.span();
                let trait_path = quote_spanned!(span=> ::core::default::Default);
                quote_spanned!(span=> <#ty as #trait_path>::default())
            }
        }
    }
}

fn check_struct(grows: bool, fields: &Fields) -> Result<()> {
    let mut first = None;
    for field in fields {
        if let Some(attribute) = find(&field.attrs, "unknown")? {
            return Err(Error::new_spanned(attribute, "only a variant can be unknown"));
        }
        match (find(&field.attrs, "added")?, first) {
            (Some(attribute), _) if !grows => return Err(Error::new_spanned(attribute, CANT_GROW)),
            (Some(_), _) => first = first.or(Some(field)),
            (None, None) => {}
            (None, Some(_)) => {
                let what = "an added field comes after all others: write `#[added]` here, or move \
                            the field";
                return Err(Error::new_spanned(field, what));
            }
        }
    }
    if fields.len() > usize::from(u16::MAX) {
        return Err(Error::new_spanned(fields, "a struct that grows has up to 65535 fields"));
    }
    Ok(())
}

fn check_enum(grows: bool, data: &DataEnum) -> Result<()> {
    for variant in &data.variants {
        if let Some(attribute) = find(&variant.attrs, "unknown")?.filter(|_| !grows) {
            return Err(Error::new_spanned(attribute, CANT_GROW));
        }
        for attributes in
            [&variant.attrs].into_iter().chain(variant.fields.iter().map(|field| &field.attrs))
        {
            if let Some(attribute) = find(attributes, "added")? {
                let what = "an enum gains variants, at its end and without an attribute; for a \
                            variant that gains fields, write a struct with `#[grows]` in it";
                return Err(Error::new_spanned(attribute, what));
            }
        }
    }
    let unknown = unknown(data)?;
    if grows && unknown.is_none() {
        let what = "an enum that grows needs a variant for those that it doesn't know yet: write \
                    `#[unknown] Unknown`";
        return Err(Error::new_spanned(&data.variants, what));
    }
    Ok(())
}

/// Returns whether an attribute without arguments is present.
fn word(attributes: &[Attribute], name: &str) -> Result<bool> {
    let Some(attribute) = find(attributes, name)? else { return Ok(false) };
    attribute.meta.require_path_only()?;
    Ok(true)
}

fn find<'a>(attributes: &'a [Attribute], name: &str) -> Result<Option<&'a Attribute>> {
    let mut found = attributes.iter().filter(|attribute| attribute.path().is_ident(name));
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(second) => Err(Error::new_spanned(second, "this attribute is there twice")),
    }
}

const CANT_GROW: &str = "this type can't grow: write `#[grows]` before it, which changes its form \
                         on the wire";
