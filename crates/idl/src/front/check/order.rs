//! Checks that each name is declared before its use, and that each type is defined before its use
//! by value. The order matters because MIDL reads a file once, from top to bottom.

use std::collections::HashSet;

use super::Checker;
use super::scope::{Chain, Root};
use super::symbols::Definition;
use crate::front::ast::{Derivation, Identifier, Path, StructType, UnionType};
use crate::front::diagnostic::{Diagnostic, quoted};
use crate::front::source::Span;
use crate::front::token::Name;

/// The definitions that are known when a file is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownDefinitions {
    All,
    /// Some of the definitions that the file may use are unknown, because an imported file wasn't
    /// found.
    Some,
    /// Only the file's own definitions are known. Files that import or include this file may define
    /// more.
    Own,
}

/// The names that a file has declared and the types that it has defined so far.
pub(super) struct DeclaredNames {
    /// Whether the order is checked. It isn't for the built-in files, which are correct and shorter
    /// with declarations in any order.
    is_checked: bool,
    types: HashSet<Name>,
    values: HashSet<Name>,
    /// The structs and unions whose definitions are complete, identified by their addresses in the
    /// syntax tree.
    complete: HashSet<usize>,
}

impl DeclaredNames {
    pub(super) fn new(is_checked: bool) -> Self {
        Self { is_checked, types: HashSet::new(), values: HashSet::new(), complete: HashSet::new() }
    }
}

impl<'a> Checker<'_, 'a> {
    /// Records the declaration of a type.
    pub(super) fn declare_type(&mut self, name: &Identifier) {
        self.declared_names.types.insert(name.name.clone());
    }

    /// Records the declaration of a constant.
    pub(super) fn declare_value(&mut self, name: &Identifier) {
        self.declared_names.values.insert(name.name.clone());
    }

    pub(super) fn complete_struct(&mut self, of: &StructType) {
        self.declared_names.complete.insert(std::ptr::from_ref(of) as usize);
    }

    pub(super) fn complete_union(&mut self, of: &UnionType) {
        self.declared_names.complete.insert(std::ptr::from_ref(of) as usize);
    }

    /// Checks that a type name is declared before this use. The order isn't checked in namespaces.
    pub(super) fn type_order(&mut self, path: &'a Path) {
        let Some(name) = path.as_name().filter(|_| self.namespace.is_empty()) else { return };
        if self.declared_names.types.contains(name) || self.imported.has_type(name) {
            return;
        }
        if let Some(symbol) = self.own.types.get(&**name) {
            self.report_early_use("type", name, path.span, symbol.span);
        }
    }

    /// Checks that a constant is declared before this use.
    pub(super) fn value_order(&mut self, name: &Name, used: Span) {
        if !self.namespace.is_empty()
            || self.declared_names.values.contains(name)
            || self.imported.has_value(name)
        {
            return;
        }
        if let Some(declared) = self.own.values.get(name).map(|named| named.span) {
            self.report_early_use("constant", name, used, declared);
        }
    }

    fn report_early_use(&mut self, what: &str, name: &Name, used: Span, declared: Span) {
        if !self.declared_names.is_checked {
            return;
        }
        let message = format!("{what} {} is used before it is declared", quoted(name));
        self.error(
            Diagnostic::error(used, message)
                .related(declared, "it is declared here")
                .hint("MIDL reads a file from top to bottom: declare it first"),
        );
    }

    /// Checks that the size of a type is known. `void` has no size, and the size of a struct or
    /// union is unknown before its definition. `derivations` are the declarator's pointers, arrays
    /// and functions.
    pub(super) fn complete_type(
        &mut self,
        chain: &Chain<'a>,
        derivations: &'a [Derivation],
        span: Span,
        what: &str,
    ) {
        let all = derivations.iter().chain(chain.derivations.iter().copied());
        if all.into_iter().any(|step| !matches!(step, Derivation::Array(_))) {
            return;
        }
        let (kind, tag, is_defined, address) = match chain.root {
            Root::Base(crate::front::ast::BaseType::Void) => {
                let message = format!("{what} can't be of type `void`");
                self.error(Diagnostic::error(span, message).hint("a pointer to it can: `void *`"));
                return;
            }
            Root::Definition(Definition::Struct(of)) => {
                ("struct", &of.tag, of.fields.is_some(), std::ptr::from_ref(of) as usize)
            }
            Root::Definition(Definition::Union(of)) => {
                ("union", &of.tag, of.arms.is_some(), std::ptr::from_ref(of) as usize)
            }
            _ => return,
        };
        // If `GUID` comes from the system's own files, `_GUID` is defined in a C header.
        let Some(tag) = tag.as_ref().filter(|tag| &*tag.name != "_GUID") else { return };
        let name = quoted(&tag.name);
        if !is_defined {
            let message = format!("{kind} {name} is used by value, but nothing defines it");
            let diagnostic = match self.known_definitions {
                KnownDefinitions::All => Diagnostic::error(span, message),
                KnownDefinitions::Some => Diagnostic::gap(
                    span,
                    format!("not checked, since files aren't found: {message}"),
                ),
                KnownDefinitions::Own => return,
            };
            // The built-in files only forward-declare types that the system's own files define.
            if !self.program.is_built_in(tag.span) {
                self.error(diagnostic.related(tag.span, "forward declaration"));
            }
            return;
        }
        let own = self.own.tags.get(&*tag.name).filter(|symbol| symbol.span == tag.span);
        if own.is_some()
            && self.namespace.is_empty()
            && !self.declared_names.complete.contains(&address)
        {
            let message = format!("{kind} {name} is used by value before its definition ends");
            self.error(
                Diagnostic::error(span, message)
                    .related(tag.span, "it is defined here")
                    .hint("use a pointer to it, or define it first"),
            );
        }
    }
}
