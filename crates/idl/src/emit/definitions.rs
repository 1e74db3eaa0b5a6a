//! Writes types and constants, each after the types on which it depends.

use std::collections::{HashMap, HashSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::Type;

use super::Emitter;
use super::names::{MidlNames, camel};
use syshandle_model::{
    Definition, DefinitionKind, Field, Variant, discriminants, identifiers, plain_name,
};

impl<'d> Emitter<'d> {
    /// Writes all types and constants, each before its first use, as C requires.
    pub(super) fn definitions(&mut self) {
        let all = self.description.definitions.iter();
        let (constants, types): (Vec<_>, Vec<_>) =
            all.partition(|of| matches!(of.kind, DefinitionKind::Constant(..)));
        for constant in constants {
            self.definition(constant);
        }
        let mut all = HashMap::new();
        for &of in &types {
            all.entry(plain_name(&of.name)).or_insert(of);
        }
        let mut order = DefinitionSorter {
            all,
            begun: HashSet::new(),
            open: HashSet::new(),
            early: Vec::new(),
            ordered: Vec::new(),
        };
        types.iter().for_each(|of| order.visit(of));
        let DefinitionSorter { early, ordered, .. } = order;
        for name in early {
            self.line(&format!("\ntypedef struct {name} {name};"));
        }
        for definition in ordered {
            self.definition(definition);
        }
    }

    fn definition(&mut self, definition: &Definition) {
        let name = plain_name(&definition.name);
        if definition.grows {
            let what = "MIDL has no types that grow, because programs contain the layout of each type: \
                 leave out `#[grows]`, and declare a new interface for a new version";
            self.refuse(&name, what);
            return;
        }
        match &definition.kind {
            DefinitionKind::Struct(_) if self.result_structs.contains(&name) => {}
            DefinitionKind::Struct(fields) => self.structure(&name, fields),
            DefinitionKind::Enum(variants) => self.enumeration(&name, variants),
            // An alias is not written. Its uses are written as its target type.
            DefinitionKind::Alias(_) => {}
            DefinitionKind::Constant(ty, value) => self.constant(&name, ty, value),
        }
    }

    fn structure(&mut self, of: &str, fields: &[Field]) {
        if fields.is_empty() {
            self.refuse(of, "MIDL can't express a struct without fields");
        }
        let mut names_in_use = MidlNames::default();
        let mut text = format!("\ntypedef struct {of}\n{{\n");
        let named = |of: &Field| names_in_use.unique(&camel(&plain_name(&of.value.name)));
        let names: Vec<String> = fields.iter().map(named).collect();
        for (field, name) in fields.iter().zip(names) {
            match self.types.field(&field.value, &name, &mut names_in_use) {
                Ok(lines) => lines.iter().for_each(|line| text += &format!("    {line};\n")),
                Err(what) => {
                    let place = format!("{of}::{}", plain_name(&field.value.name));
                    self.refuse(&place, &what);
                }
            }
        }
        self.line(&format!("{text}}} {of};"));
    }

    fn enumeration(&mut self, name: &str, variants: &[Variant]) {
        let discriminants = discriminants(variants);
        // Without `v1_enum`, an enum value takes only two bytes on the wire.
        let is_short = discriminants.iter().all(|number| i16::try_from(*number).is_ok());
        let wide = if is_short { "" } else { "[v1_enum] " };
        let mut text = format!("\ntypedef {wide}enum {name}\n{{\n");
        for (variant, number) in variants.iter().zip(discriminants) {
            let place = format!("{name}::{}", plain_name(&variant.name));
            if !variant.fields.is_empty() {
                self.refuse(&place, "MIDL can't express variants with data");
            }
            if i32::try_from(number).is_err() {
                self.refuse(&place, "MIDL's enums are limited to 32 bits");
            }
            let value = variant.value.map(|value| format!(" = {value}")).unwrap_or_default();
            text += &format!("    {name}_{}{value},\n", plain_name(&variant.name));
        }
        self.line(&format!("{text}}} {name};"));
    }

    /// Writes a constant. If MIDL can't express it, writes a comment instead of reporting an error,
    /// because no interface depends on a constant.
    fn constant(&mut self, name: &str, ty: &Type, value: &TokenStream) {
        let is_text = matches!(ty, Type::Reference(of) if super::types::last_segment(&of.elem).is_some_and(|name| name == "str"));
        let number = self.types.number(ty).filter(|ty| !matches!(*ty, "float" | "double"));
        match number {
            Some("BOOL") => {
                let value = if value.to_string() == "true" { "TRUE" } else { "FALSE" };
                self.line(&format!("const BOOL {name} = {value};"));
            }
            Some(ty) if is_plain(value) => self.line(&format!("const {ty} {name} = {value};")),
            None if is_text => match syn::parse2::<syn::LitStr>(value.clone()) {
                Ok(text) => {
                    let text = text.value().replace('\\', "\\\\").replace('"', "\\\"");
                    let text = text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t");
                    self.line(&format!("const LPCWSTR {name} = L\"{text}\";"));
                }
                Err(_) => self.line(&left_out(name)),
            },
            _ => self.line(&left_out(name)),
        }
    }
}

fn left_out(name: &str) -> String {
    format!("// Constant {name} is omitted: MIDL can express only literal integers and strings.")
}

/// Returns whether an expression has the same value in C as in Rust. It may contain only operators
/// and numbers without Rust's suffixes.
fn is_plain(value: &TokenStream) -> bool {
    value.clone().into_iter().all(|token| match token {
        TokenTree::Literal(literal) => {
            let text = literal.to_string();
            let is_hexadecimal = text.starts_with("0x");
            text.starts_with(|c: char| c.is_ascii_digit())
                && !text.contains('_')
                && (is_hexadecimal && !text.contains(['i', 'u'])
                    || text.chars().all(|c| c.is_ascii_digit()))
        }
        TokenTree::Punct(punct) => "+-*/%|&^<>".contains(punct.as_char()),
        TokenTree::Group(group) => is_plain(&group.stream()),
        TokenTree::Ident(_) => false,
    })
}

/// Sorts types so that each follows the types that it contains.
struct DefinitionSorter<'d> {
    all: HashMap<String, &'d Definition>,
    begun: HashSet<String>,
    /// The types on the current traversal path. Finding one of them again means that it contains
    /// itself.
    open: HashSet<String>,
    /// The types that need a forward declaration, because they contain themselves.
    early: Vec<String>,
    ordered: Vec<&'d Definition>,
}

impl<'d> DefinitionSorter<'d> {
    fn visit(&mut self, of: &'d Definition) {
        // Iterates instead of recursing, because a chain of nested types may be long.
        let mut path = vec![(of, identifiers(of.types()), 0)];
        if !self.begun.insert(plain_name(&of.name)) {
            return;
        }
        self.open.insert(plain_name(&of.name));
        while let Some((of, parts, next)) = path.last_mut() {
            let Some(part) = parts.get(*next).cloned() else {
                self.ordered.push(of);
                self.open.remove(&plain_name(&of.name));
                path.pop();
                continue;
            };
            *next += 1;
            let Some(&part) = self.all.get(&part) else { continue };
            let name = plain_name(&part.name);
            if self.begun.insert(name.clone()) {
                self.open.insert(name);
                path.push((part, identifiers(part.types()), 0));
            } else if self.open.remove(&name) {
                // The name was removed from `open`, which ensures that it is added only once.
                self.early.push(name);
            }
        }
    }
}
