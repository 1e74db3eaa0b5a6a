//! Formats declarations for the listing.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Fields, Item, ItemTrait, Meta, TraitItem};

use super::source::{Declared, derived_on, is_public, system};

/// Formats code on one line.
pub(super) fn print(code: &impl ToTokens) -> String {
    let mut text =
        code.to_token_stream().to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    const TIDY: [(&str, &str); 21] = [
        (" :: ", "::"),
        (":: ", "::"),
        (" ::", "::"),
        (" < ", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (",>", ">"),
        (", )", ")"),
        (",)", ")"),
        ("? ", "?"),
        ("$ ", "$"),
        (" : ", ": "),
        ("& ", "&"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (" ;", ";"),
        ("->(", "-> ("),
        (",(", ", ("),
        (" [ ", " ["),
    ];
    for (spaced, tidy) in TIDY {
        text = text.replace(spaced, tidy);
    }
    text
}

/// Returns the lines for an item other than a trait: its declaration, then its public fields or
/// variants.
pub(super) fn lines(item: &Item) -> Vec<Declared> {
    let line = |text: String| Declared { text, system: None };
    match item {
        Item::Struct(item) => {
            let (generics, bounds) = (print(&item.generics), print(&item.generics.where_clause));
            let head = format!("pub struct {}{generics} {bounds}", item.ident);
            let mut lines = vec![line(marked(&item.attrs, head.trim_end()))];
            lines.extend(derived_on(&item.attrs));
            for (index, field) in item.fields.iter().enumerate().filter(|(_, f)| is_public(&f.vis))
            {
                let name = field.ident.as_ref().map_or(index.to_string(), ToString::to_string);
                let text = format!("pub {name}: {}", print(&field.ty));
                lines.push(Declared { text, system: system(&field.attrs) });
            }
            lines
        }
        Item::Enum(item) => {
            let head = format!("pub enum {}{}", item.ident, print(&item.generics));
            let mut lines = vec![line(marked(&item.attrs, &head))];
            lines.extend(derived_on(&item.attrs));
            for variant in &item.variants {
                let fields = match &variant.fields {
                    Fields::Unit => String::new(),
                    fields => {
                        let types: Vec<_> = fields
                            .iter()
                            .map(|field| match &field.ident {
                                Some(name) => format!("{name}: {}", print(&field.ty)),
                                None => print(&field.ty),
                            })
                            .collect();
                        format!("({})", types.join(", "))
                    }
                };
                let number = match &variant.discriminant {
                    Some((_, number)) => format!(" = {}", print(number)),
                    None => String::new(),
                };
                let text = format!("variant {}{fields}{number}", variant.ident);
                lines.push(Declared { text, system: system(&variant.attrs) });
            }
            lines
        }
        Item::Fn(item) => vec![line(format!("pub {}", print(&item.sig)))],
        Item::Const(item) => vec![line(format!("pub const {}: {}", item.ident, print(&item.ty)))],
        Item::Static(item) => {
            vec![line(format!("pub static {}: {}", item.ident, print(&item.ty)))]
        }
        Item::Type(item) => {
            let generics = print(&item.generics);
            vec![line(format!("pub type {}{generics} = {}", item.ident, print(&item.ty)))]
        }
        _ => Vec::new(),
    }
}

/// Prepends the attributes that matter to users of the API.
fn marked(attributes: &[Attribute], declaration: &str) -> String {
    let mut text = declaration.to_owned();
    for attribute in attributes {
        match &attribute.meta {
            Meta::Path(path) if path.is_ident("non_exhaustive") => text += ", non-exhaustive",
            Meta::List(list) if list.path.is_ident("derive") => {
                text += ", derives ";
                text += &print(&list.tokens);
            }
            _ => {}
        }
    }
    text
}

/// Returns the first line of a trait.
pub(super) fn header(item: &ItemTrait) -> String {
    let above = match item.supertraits.is_empty() {
        true => String::new(),
        false => format!(": {}", print(&item.supertraits)),
    };
    format!("pub trait {}{}{above}", item.ident, print(&item.generics))
}

/// Returns the line for a member of a trait.
pub(super) fn member(member: &TraitItem) -> String {
    match member {
        TraitItem::Fn(method) => {
            let provided = if method.default.is_some() { "provided" } else { "required" };
            format!("{provided} {}", print(&method.sig))
        }
        TraitItem::Type(ty) => format!("type {}", ty.ident),
        TraitItem::Const(value) => format!("const {}: {}", value.ident, print(&value.ty)),
        _ => String::new(),
    }
}

/// Collects the public structs and methods that the rules of a macro declare.
pub(super) fn declared_by_rules(rules: &TokenStream, declared: &mut Vec<String>) {
    let tokens: Vec<_> = rules.clone().into_iter().collect();
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        index += 1;
        if let TokenTree::Group(group) = token {
            declared_by_rules(&group.stream(), declared);
        }
        let is_hidden = tokens[index.saturating_sub(3)..index].iter().any(|token| {
            matches!(token, TokenTree::Group(group) if print(&group.stream()) == "doc(hidden)")
        });
        if token.to_string() != "pub" || is_hidden {
            continue;
        }
        let declaration = tokens[index - 1..].iter().take_while(|token| match token {
            TokenTree::Group(group) => group.delimiter() != Delimiter::Brace,
            TokenTree::Punct(punct) => !matches!(punct.as_char(), ';' | ','),
            _ => true,
        });
        let declaration: TokenStream = declaration.cloned().collect();
        let line = print(&declaration);
        let kept = ["pub fn", "pub const fn", "pub struct", "pub enum"];
        if kept.iter().any(|start| line.starts_with(start)) {
            declared.push(line);
        }
    }
}
