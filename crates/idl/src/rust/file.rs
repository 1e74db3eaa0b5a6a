//! Converts a Rust source file to the model: its interfaces, types, constants and classes.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, DeriveInput, Error, Expr, ExprLit, Fields, Ident, Item, Lit, Meta, Path, Result,
    Token, UnOp, Visibility,
};

use syshandle_model::traits::{Errors, added, docs, grows, handle, interface, range};
use syshandle_model::{
    Class, Definition, DefinitionKind, Description, Field, Parameter, Variant, parse_guid,
};

/// Converts a Rust source file to the model. Includes traits with `#[interface]`, types that derive
/// `Encode`, constants and `class!` invocations, also in modules within the file. Ignores all other
/// items.
///
/// # Errors
/// Returns all errors in these items.
pub fn describe(file: syn::File) -> Result<Description> {
    let mut description = Description::default();
    let mut errors = Errors::default();
    items(file.items, &mut description, &mut errors);
    errors.finish()?;
    Ok(description)
}

fn items(list: Vec<Item>, description: &mut Description, errors: &mut Errors) {
    for item in list {
        match item {
            Item::Trait(mut item) => {
                let place = item.attrs.iter().position(|of| is(of, "interface"));
                let Some(place) = place else { continue };
                let attribute = item.attrs.remove(place);
                let arguments = match attribute.meta {
                    Meta::List(list) => list.tokens,
                    _ => TokenStream::new(),
                };
                let read = errors.keep(interface(arguments, item));
                description.interfaces.extend(read.map(|(interface, _)| interface));
            }
            Item::Struct(item) if is_encoded(&item.attrs) => {
                let fields = item.fields.iter().enumerate().filter_map(|(at, field)| {
                    let value = errors.keep(parameter(field, at))?;
                    let added = errors.keep(added(&field.attrs))?;
                    Some(Field { value, added })
                });
                let kind = DefinitionKind::Struct(fields.collect());
                let DeriveInput { attrs, ident: name, data, .. } = item.into();
                let grows = errors.keep(grows(&attrs, &data)).unwrap_or_default();
                let docs = docs(&attrs);
                description.definitions.push(Definition { docs, name, kind, grows });
            }
            Item::Enum(item) if is_encoded(&item.attrs) => {
                let is_known = |variant: &&syn::Variant| {
                    !variant.attrs.iter().any(|attribute| attribute.path().is_ident("unknown"))
                };
                let variants = item.variants.iter().filter(is_known).map(|variant| Variant {
                    docs: docs(&variant.attrs),
                    name: variant.ident.clone(),
                    value: variant.discriminant.as_ref().and_then(|(_, value)| number(value)),
                    fields: fields(&variant.fields, errors),
                });
                let kind = DefinitionKind::Enum(variants.collect());
                let DeriveInput { attrs, ident: name, data, .. } = item.into();
                let grows = errors.keep(grows(&attrs, &data)).unwrap_or_default();
                let docs = docs(&attrs);
                description.definitions.push(Definition { docs, name, kind, grows });
            }
            Item::Const(item) => {
                let value = item.expr.to_token_stream();
                let kind = DefinitionKind::Constant(*item.ty, value);
                let (docs, grows) = (docs(&item.attrs), false);
                description.definitions.push(Definition { docs, name: item.ident, kind, grows });
            }
            Item::Type(item) if item.generics.params.is_empty() => {
                let kind = DefinitionKind::Alias(*item.ty);
                let (docs, grows) = (docs(&item.attrs), false);
                description.definitions.push(Definition { docs, name: item.ident, kind, grows });
            }
            Item::Macro(item) if ends_with(&item.mac.path, "class") => {
                let class = errors.keep(syn::parse2::<ClassMacro>(item.mac.tokens));
                description.classes.extend(class.map(|ClassMacro(class)| class));
            }
            Item::Mod(item) => {
                if let Some((_, list)) = item.content {
                    items(list, description, errors);
                }
            }
            _ => {}
        }
    }
}

fn fields(fields: &Fields, errors: &mut Errors) -> Vec<Parameter> {
    let fields = fields.iter().enumerate();
    fields.filter_map(|(at, field)| errors.keep(parameter(field, at))).collect()
}

fn parameter(field: &syn::Field, at: usize) -> Result<Parameter> {
    let name = field.ident.clone().unwrap_or_else(|| quote::format_ident!("field{at}"));
    Ok(Parameter {
        docs: docs(&field.attrs),
        name,
        ty: field.ty.clone(),
        handle: handle(&field.attrs)?,
        range: range(&field.attrs)?,
    })
}

/// Returns the value of an integer literal.
fn number(value: &Expr) -> Option<i64> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => number(&unary.expr).map(|n| -n),
        _ => None,
    }
}

fn ends_with(path: &Path, name: &str) -> bool {
    path.segments.last().is_some_and(|last| last.ident == name)
}

fn is(attribute: &Attribute, name: &str) -> bool {
    ends_with(attribute.path(), name)
}

/// Returns whether a type derives `Encode`.
fn is_encoded(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| is(attribute, "derive")).any(|attribute| {
        attribute
            .parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated)
            .is_ok_and(|derived| derived.iter().any(|path| ends_with(path, "Encode")))
    })
}

/// The arguments of `class!`.
struct ClassMacro(Class);

impl Parse for ClassMacro {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        let name: Ident = input.parse()?;
        input.parse::<Token![:]>()?;
        let interfaces = Punctuated::<Path, Token![+]>::parse_separated_nonempty(input)?;
        input.parse::<Token![=]>()?;
        let clsid: syn::LitStr = input.parse()?;
        input.parse::<Option<Token![;]>>()?;
        let parsed = parse_guid(&clsid.value())
            .ok_or_else(|| Error::new_spanned(&clsid, "this is not an identifier"))?;
        let last = |path: &Path| path.segments.last().map(|last| last.ident.clone());
        let interfaces = interfaces.iter().filter_map(last).collect();
        Ok(Self(Class { docs: docs(&attributes), name, clsid: parsed, interfaces }))
    }
}
