//! What is said in one place of the files and changes layouts in another.

use std::collections::{HashMap, HashSet};
use std::ptr;

use crate::front::ast::{
    AttributeName, Attributes, Interface, Item, Member, TypeKind, TypeSpecifier,
};
use crate::front::program::Program;

/// The kind that `pointer_default` gives.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum PointerDefault {
    #[default]
    Unique,
    Reference,
    /// A full pointer, or something that isn't known here.
    Other,
}

/// Facts about all files of a run.
#[derive(Default)]
pub(in crate::lower) struct Facts {
    /// A pragma may change how structs are packed.
    pub(super) has_packing: bool,
    /// The kinds of embedded pointers without an attribute, by the addresses of the attributes of the
    /// declarations that have them.
    defaults: HashMap<usize, PointerDefault>,
    /// The kind for all other declarations: those outside of interfaces, and those in an interface
    /// without `pointer_default`. Compilers take the kind of a type that is declared there from an
    /// interface of its file, or of a file that imports it. So it is only known if all are unique.
    outside: PointerDefault,
    /// The tags of enums that say `v1_enum` somewhere else than at the tag.
    pub(super) v1_enums: HashSet<String>,
}

impl Facts {
    pub(in crate::lower) fn of(program: &Program) -> Self {
        let mut facts = Self::default();
        for unit in &program.units {
            facts.has_packing |= unit.has_packing;
            facts.items(&unit.items);
        }
        facts
    }

    fn items(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Typedef(of) => self.enumeration(&of.attributes, &of.specifier),
                Item::Type(attributes, specifier) => self.enumeration(attributes, specifier),
                Item::Interface(interface) => self.interface(interface),
                Item::Library(library) => self.items(&library.items),
                Item::Module(module) => self.items(module.items.as_deref().unwrap_or_default()),
                Item::Namespace(namespace) => self.items(&namespace.items),
                // What only C sees may still pack what C sees.
                Item::CppQuote(quote) => {
                    let text = quote.text.as_deref().unwrap_or_default();
                    self.has_packing |= match &*quote.keyword.name {
                        "midl_pragma" => text != "warning",
                        _ => text.contains("pragma") && text.contains("pack"),
                    };
                }
                _ => {}
            }
        }
    }

    fn interface(&mut self, interface: &Interface) {
        let default = interface.attributes.find(AttributeName::PointerDefault);
        let default = default.map(|of| of.values().next().and_then(|value| value.as_name()));
        let default = match default.map(|name| name.map(|name| &**name)) {
            None => None,
            Some(Some("unique")) => Some(PointerDefault::Unique),
            Some(Some("ref")) => Some(PointerDefault::Reference),
            Some(_) => Some(PointerDefault::Other),
        };
        if default.is_some_and(|default| default != PointerDefault::Unique) {
            self.outside = PointerDefault::Other;
        }
        for member in interface.members.iter().flatten() {
            match member {
                Member::Item(item) => self.items(std::slice::from_ref(item)),
                Member::Method(_) => {}
            }
            match (member, default) {
                (Member::Item(Item::Typedef(of)), Some(default)) => {
                    self.declaration(&of.attributes, &of.specifier, default);
                }
                (Member::Item(Item::Type(attributes, specifier)), Some(default)) => {
                    self.declaration(attributes, specifier, default);
                }
                (Member::Item(_), _) => {}
                (Member::Method(method), default) => {
                    let default = default.unwrap_or_default();
                    for parameter in &method.parameters.list {
                        self.declaration(&parameter.attributes, &parameter.specifier, default);
                    }
                }
            }
        }
    }

    /// Notes the default of a declaration's pointers, and of the fields within it.
    fn declaration(
        &mut self,
        attributes: &Attributes,
        specifier: &TypeSpecifier,
        default: PointerDefault,
    ) {
        self.defaults.insert(ptr::from_ref(attributes).addr(), default);
        if let TypeKind::Struct(of) = &specifier.kind {
            for field in of.fields.iter().flatten() {
                if let Some(specifier) = &field.specifier {
                    self.declaration(&field.attributes, specifier, default);
                }
            }
        }
    }

    /// The kind of a declaration's pointers without an attribute.
    pub(super) fn pointer_default(&self, attributes: &Attributes) -> PointerDefault {
        let default = self.defaults.get(&ptr::from_ref(attributes).addr());
        default.copied().unwrap_or(self.outside)
    }

    fn enumeration(&mut self, attributes: &Attributes, specifier: &TypeSpecifier) {
        let TypeKind::Enum(of) = &specifier.kind else { return };
        if let (true, Some(tag)) = (attributes.has(AttributeName::V1Enum), &of.tag) {
            self.v1_enums.insert(tag.name.to_string());
        }
    }
}
