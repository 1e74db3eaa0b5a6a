//! Formats, as text, all properties that determine MIDL's layout of a value. The text is needed
//! because Rust types don't express all of them. For example, `BSTR` and `LPWSTR` both become
//! `String`, but have different wire formats in COM.

use std::collections::HashMap;

use super::Lowering;
use super::midl_layout::PointerDefault;
use super::resolved_type::resolve;
use super::types::SIZES;
use crate::front::ast::{
    Argument, Attribute, AttributeName, Attributes, BaseType, Bounds, Declarator, Derivation,
    EnumType, Expression, TypeKind, TypeSpecifier,
};
use crate::front::check::symbols::Definition;
use crate::front::check::system_handle::MaskEnvironment;
use crate::front::constant::{self, IntegerType};
use crate::front::limits::{CHAIN_MAX, DERIVATIONS_MAX};
use syshandle_model::Layout;

impl<'a> Lowering<'_, 'a> {
    /// Returns the layout of a parameter or field, with its name.
    ///
    /// `embedded` is the index of the first derivation to which `pointer_default` applies. It
    /// doesn't apply to the outermost pointer of a parameter, which is a reference pointer by
    /// default.
    pub(super) fn layout(
        &self,
        embedded: usize,
        attributes: &'a Attributes,
        specifier: &'a TypeSpecifier,
        declarator: &'a Declarator,
    ) -> Layout {
        let name = declarator.name.as_ref().map_or(String::new(), |name| name.name.to_string());
        let text = self.layout_text(embedded, attributes, specifier, declarator);
        let mask = resolve(&self.view, attributes, specifier, declarator)
            .find(AttributeName::SystemHandle)
            .and_then(|of| self.mask(of));
        Layout { name, key: text.clone(), text, is_out: attributes.has(AttributeName::Out), mask }
    }

    /// Returns the access mask of a `system_handle` attribute. Returns `None` if the handle keeps
    /// all rights when it is sent.
    fn mask(&self, of: &Attribute) -> Option<u32> {
        match constant::evaluate(of.values().nth(1)?, &MaskEnvironment(self.view.copied())) {
            Ok(constant::Value::Integer(mask)) => Some(mask.value as u32).filter(|mask| *mask != 0),
            _ => None,
        }
    }

    /// Stores the layouts of the members of a method or type, for comparing two files.
    pub(super) fn keep_layouts(&mut self, of: String, mut layouts: Vec<Layout>) {
        let places: HashMap<String, usize> =
            layouts.iter().enumerate().map(|(at, layout)| (layout.name.clone(), at)).collect();
        for layout in &mut layouts {
            layout.key = by_place(&layout.text, &places);
            if !layout.name.is_empty() {
                layout.name = super::names::snake(&layout.name);
            }
        }
        self.description.layouts.entry(of).or_insert(layouts);
    }

    /// Returns the layout of an enum.
    pub(super) fn enum_layout(
        &self,
        of: &EnumType,
        attributes: Option<&Attributes>,
    ) -> Vec<Layout> {
        let is_wide =
            self.facts.is_v1_enum(of) || attributes.is_some_and(|of| of.has(AttributeName::V1Enum));
        let text = if is_wide { "an enum of 4 bytes" } else { "an enum of 2 bytes" };
        vec![Layout { name: String::new(), text: text.to_owned(), ..Layout::default() }]
    }

    fn layout_text(
        &self,
        embedded: usize,
        attributes: &'a Attributes,
        specifier: &'a TypeSpecifier,
        declarator: &'a Declarator,
    ) -> String {
        let mut written = Vec::new();
        self.add_attributes(attributes, &mut written);
        let mut derivations: Vec<&Derivation> = declarator.derivations.iter().collect();
        let mut groups = vec![(0, attributes)];
        let mut specifier = specifier;
        let mut leaf = String::from("a long chain of typedefs");
        for _ in 0..CHAIN_MAX {
            let path = match &specifier.kind {
                TypeKind::Named(path) | TypeKind::Interface(path) => path,
                TypeKind::Base(base) => {
                    leaf = base_text(*base);
                    break;
                }
                TypeKind::Struct(_) => {
                    leaf = "struct".to_owned();
                    break;
                }
                TypeKind::Union(_) => {
                    leaf = "union".to_owned();
                    break;
                }
                TypeKind::Enum(_) => {
                    leaf = "enum".to_owned();
                    break;
                }
                TypeKind::SafeArray(_) | TypeKind::Pipe(_) => {
                    leaf = "other".to_owned();
                    break;
                }
            };
            // These types have their own marshalling routines.
            if let Some(name) = path.as_name().filter(|name| is_marshaled(name)) {
                leaf = name.to_string();
                break;
            }
            match self.view.find(path).map(|symbol| symbol.definition) {
                Some(Definition::Typedef(typedef, declarator))
                    if derivations.len() <= DERIVATIONS_MAX =>
                {
                    self.add_attributes(&typedef.attributes, &mut written);
                    groups.push((derivations.len(), &typedef.attributes));
                    derivations.extend(&declarator.derivations);
                    specifier = &typedef.specifier;
                }
                Some(Definition::Struct(_)) => {
                    leaf = "struct".to_owned();
                    break;
                }
                Some(Definition::Enum(_)) => {
                    leaf = "enum".to_owned();
                    break;
                }
                Some(Definition::Union(_)) => {
                    leaf = "union".to_owned();
                    break;
                }
                // The interface's IID is compared as part of the type.
                _ => {
                    leaf = "interface".to_owned();
                    break;
                }
            }
        }
        // The innermost pointer belongs to the interface type. Pointer kinds don't apply to it.
        let end = derivations.len() - usize::from(leaf == "interface" && !derivations.is_empty());
        written.extend(self.pointer_defaults(&groups, &derivations[..end], embedded));
        let derivations: String =
            derivations.into_iter().map(|derivation| self.derivation_text(derivation)).collect();
        let written = match written.is_empty() {
            true => String::new(),
            false => format!("[{}] ", written.join(", ")),
        };
        format!("{written}{leaf}{derivations}")
    }

    /// Returns the default kind of the pointers without a pointer attribute, unless it is `unique`.
    /// `groups` contains the attributes of the declaration and of each typedef, with the index of
    /// the first derivation to which they apply.
    fn pointer_defaults(
        &self,
        groups: &[(usize, &Attributes)],
        derivations: &[&Derivation],
        embedded: usize,
    ) -> Option<String> {
        let kinds = [AttributeName::Unique, AttributeName::Ref, AttributeName::Ptr];
        let pointers = derivations.iter().enumerate().skip(embedded);
        let mut pointers =
            pointers.filter(|(_, derivation)| matches!(derivation, Derivation::Pointer { .. }));
        pointers.find_map(|(at, _)| {
            let (start, attributes) = groups.iter().rfind(|(start, _)| *start <= at)?;
            if *start == at && kinds.iter().any(|kind| attributes.has(*kind)) {
                return None;
            }
            match self.facts.pointer_default(attributes) {
                PointerDefault::Unique => None,
                PointerDefault::Reference => Some("pointer_default(ref)".to_owned()),
                PointerDefault::Other => Some("pointer_default of another interface".to_owned()),
            }
        })
    }

    fn derivation_text(&self, derivation: &Derivation) -> String {
        match derivation {
            Derivation::Pointer { .. } => " *".to_owned(),
            Derivation::Array(Bounds::Open) => "[]".to_owned(),
            Derivation::Array(Bounds::Length(length)) => match self.integer(length) {
                Some(length) => format!("[{length}]"),
                None => "[…]".to_owned(),
            },
            Derivation::Array(Bounds::Range(first, last)) => {
                match (self.integer(first), self.integer(last)) {
                    (Some(first), Some(last)) => format!("[{first}..{last}]"),
                    _ => "[…]".to_owned(),
                }
            }
            Derivation::Function(_) => "()".to_owned(),
        }
    }

    /// Appends the attributes that affect the layout.
    fn add_attributes(&self, of: &Attributes, written: &mut Vec<String>) {
        for name in LAYOUT_ATTRIBUTES {
            let Some(attribute) = of.find(name) else { continue };
            let text = self.attribute_text(attribute, name);
            if !written.contains(&text) {
                written.push(text);
            }
        }
    }

    pub(super) fn attribute_text(&self, of: &Attribute, name: AttributeName) -> String {
        if of.arguments.is_empty() {
            return name.text().to_owned();
        }
        let is_count = SIZES.contains(&name);
        let arguments: Vec<String> = of
            .arguments
            .iter()
            .map(|argument| match argument {
                Argument::Omitted => String::new(),
                // The length limit is a constant. Such limits are compared separately.
                Argument::Value(value) if is_count && self.integer(value).is_some() => {
                    "constant".to_owned()
                }
                Argument::Value(value) => self.expression_text(value),
                Argument::Type(_) => "type".to_owned(),
            })
            .collect();
        let name = match name {
            AttributeName::MaxIs if arguments == ["constant"] => AttributeName::SizeIs,
            AttributeName::LastIs if arguments == ["constant"] => AttributeName::LengthIs,
            name => name,
        };
        format!("{}({})", name.text(), arguments.join(", "))
    }

    /// Returns the value of a constant expression. Returns the source text of any other expression.
    fn expression_text(&self, of: &Expression) -> String {
        match self.integer(of) {
            Some(value) => value.to_string(),
            None => {
                let text = self.program.loader.sources.text(of.span);
                text.chars().take(EXPRESSION_CHARS_MAX).collect()
            }
        }
    }
}

/// Replaces the names of parameters and fields with their positions, because names don't affect the
/// layout.
fn by_place(text: &str, places: &HashMap<String, usize>) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut key = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let length = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        match places.get(word) {
            Some(place) => key += &format!("#{place}"),
            None => key += word,
        }
        let other = after.find(is_word).unwrap_or(after.len());
        key += &after[..other];
        rest = &after[other..];
    }
    key
}

/// Formats a base type. Signed and unsigned types are formatted alike, because the sign doesn't
/// affect the layout.
fn base_text(base: BaseType) -> String {
    match (base, IntegerType::of(base)) {
        (BaseType::IntPointer | BaseType::UIntPointer, _) => "pointer-sized integer".to_owned(),
        (_, Some(integer)) => format!("{}-bit integer", integer.bits),
        (base, None) => format!("{base:?}").to_lowercase(),
    }
}

/// Maximum length of the stored text of an expression. Without a limit, a long expression in a
/// typedef would be copied at each use of the typedef.
const EXPRESSION_CHARS_MAX: usize = 500;

/// Returns whether the type with this name has its own marshalling routines.
fn is_marshaled(name: &str) -> bool {
    matches!(name, "BSTR" | "HSTRING" | "HANDLE" | "VARIANT" | "VARIANT_BOOL")
}

/// The attributes that affect the layout, except for handle kinds and ranges, which are compared
/// separately.
const LAYOUT_ATTRIBUTES: [AttributeName; 20] = [
    AttributeName::Unique,
    AttributeName::Ref,
    AttributeName::Ptr,
    AttributeName::String,
    AttributeName::SizeIs,
    AttributeName::MaxIs,
    AttributeName::MinIs,
    AttributeName::LengthIs,
    AttributeName::LastIs,
    AttributeName::FirstIs,
    AttributeName::IidIs,
    AttributeName::SwitchIs,
    AttributeName::SwitchType,
    AttributeName::ByteCount,
    AttributeName::WireMarshal,
    AttributeName::UserMarshal,
    AttributeName::TransmitAs,
    AttributeName::RepresentAs,
    AttributeName::Ignore,
    AttributeName::Align,
];
