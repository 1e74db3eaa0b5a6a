//! Collects declarations that affect the layouts of other declarations.

use std::collections::{HashMap, HashSet};
use std::ptr;

use crate::front::ast::{
    AttributeName, Attributes, EnumType, Interface, Item, Member, StructType, TypeKind,
    TypeSpecifier, Typedef,
};
use crate::front::packing::Packing;
use crate::front::program::Program;

/// The default pointer kind that the attribute `pointer_default` specifies.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::lower) enum PointerDefault {
    #[default]
    Unique,
    Reference,
    /// A full pointer (`ptr`), or an unknown kind.
    Other,
}

/// Information about all files of a run that affects layouts.
#[derive(Default)]
pub(in crate::lower) struct Facts {
    /// Whether a pragma may affect the packing of any struct.
    has_packing: bool,
    /// Structs that only the C compiler packs, because the pragma is in a `cpp_quote`. Identified
    /// by their addresses in the syntax tree.
    packed_in_c: HashSet<usize>,
    /// The packing that is in effect for the C compiler at the current position.
    in_c: Packing,
    /// The default kinds of embedded pointers. The key is the address of the attribute list of the
    /// declaration that contains the pointers.
    defaults: HashMap<usize, PointerDefault>,
    /// The default kind for all other declarations: those outside of interfaces, and those in
    /// interfaces without `pointer_default`. For such a declaration, compilers use the default of
    /// an interface in the same file or in a file that imports it. The kind is therefore known only
    /// if all interfaces specify `unique`.
    outside: PointerDefault,
    /// The tags of enums that have `v1_enum` on a typedef but not on the tag.
    pub(super) v1_enums: HashSet<String>,
    /// Enums that have `v1_enum` on their definitions. Identified by their addresses in the syntax
    /// tree.
    v1_bodies: HashSet<usize>,
    /// The tags and typedef names of all enums.
    enums: HashSet<String>,
    /// The names of all interfaces.
    interfaces: HashSet<String>,
}

impl Facts {
    pub(in crate::lower) fn of(program: &Program) -> Self {
        let mut facts = Self::default();
        for unit in &program.units {
            facts.items(&unit.items);
            facts.has_packing |= unit.has_packing || facts.in_c.spreads();
            facts.in_c = Packing::default();
        }
        facts
    }

    fn items(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Typedef(of) => {
                    self.packing(&of.specifier);
                    self.named_enum(of);
                }
                Item::Type(attributes, specifier) => {
                    self.packing(specifier);
                    self.plain_enum(attributes, specifier);
                }
                Item::Interface(interface) => self.interface(interface),
                Item::Library(library) => self.items(&library.items),
                Item::Module(module) => self.items(module.items.as_deref().unwrap_or_default()),
                Item::Namespace(namespace) => self.items(&namespace.items),
                Item::CppQuote(quote) => {
                    let text = quote.text.as_deref().unwrap_or_default();
                    match &*quote.keyword.name {
                        "midl_pragma" => self.has_packing |= text != "warning",
                        // The text of a `cpp_quote` may change the packing for the C compiler.
                        _ => self.in_c.line(text),
                    }
                }
                _ => {}
            }
        }
    }

    fn interface(&mut self, interface: &Interface) {
        self.interfaces.insert(interface.name.name.to_string());
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

    /// Records the default kind for the pointers in a declaration and in its fields.
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

    /// Returns the default pointer kind for a declaration.
    pub(in crate::lower) fn pointer_default(&self, attributes: &Attributes) -> PointerDefault {
        let default = self.defaults.get(&ptr::from_ref(attributes).addr());
        default.copied().unwrap_or(self.outside)
    }

    /// Records the structs in a declaration that the C compiler packs at the current position.
    fn packing(&mut self, specifier: &TypeSpecifier) {
        let TypeKind::Struct(of) = &specifier.kind else { return };
        if self.in_c.limit() == 0 {
            return;
        }
        self.packed_in_c.insert(ptr::from_ref(of).addr());
        for field in of.fields.iter().flatten() {
            field.specifier.iter().for_each(|specifier| self.packing(specifier));
        }
    }

    /// Returns whether a pragma packs a struct or might pack it.
    pub(in crate::lower) fn may_be_packed(&self, of: &StructType) -> bool {
        self.has_packing || of.pack != 0 || self.packed_in_c.contains(&ptr::from_ref(of).addr())
    }

    fn named_enum(&mut self, typedef: &Typedef) {
        let TypeKind::Enum(of) = &typedef.specifier.kind else { return };
        let names = typedef.declarators.iter().filter(|of| of.derivations.is_empty());
        let names = names.filter_map(|of| of.name.as_ref()).chain(&of.tag);
        self.enums.extend(names.map(|name| name.name.to_string()));
        if let (true, Some(tag)) = (typedef.attributes.has(AttributeName::V1Enum), &of.tag) {
            self.v1_enums.insert(tag.name.to_string());
        }
    }

    fn plain_enum(&mut self, attributes: &Attributes, specifier: &TypeSpecifier) {
        let TypeKind::Enum(of) = &specifier.kind else { return };
        self.enums.extend(of.tag.iter().map(|tag| tag.name.to_string()));
        if attributes.has(AttributeName::V1Enum) {
            self.v1_bodies.insert(ptr::from_ref(of).addr());
        }
    }

    /// Returns whether an enum has `v1_enum` on its definition.
    pub(in crate::lower) fn is_v1_enum(&self, of: &EnumType) -> bool {
        of.attributes.has(AttributeName::V1Enum)
            || self.v1_bodies.contains(&ptr::from_ref(of).addr())
    }

    /// Returns the tags and typedef names of all enums.
    pub(in crate::lower) fn enums(&self) -> &HashSet<String> {
        &self.enums
    }

    /// Returns the names of all interfaces.
    pub(in crate::lower) fn interfaces(&self) -> &HashSet<String> {
        &self.interfaces
    }
}
