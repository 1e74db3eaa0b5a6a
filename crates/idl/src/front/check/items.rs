//! Checks the declarations of a file.

use super::Checker;
use super::unresolved::NameReference;
use crate::front::ast::{
    AttributeName, AttributeTarget, Class, Derivation, Item, Library, Path, TypeKind,
    TypeSpecifier, Typedef,
};
use crate::front::diagnostic::{Diagnostic, Severity, quoted};

impl<'a> Checker<'_, 'a> {
    pub(super) fn items(&mut self, items: &'a [Item]) {
        for item in items {
            self.item(item);
        }
    }

    pub(super) fn item(&mut self, item: &'a Item) {
        match item {
            Item::Constant(constant) => self.constant(constant),
            Item::Typedef(typedef) => self.typedef(typedef),
            Item::Type(attributes, specifier) => {
                self.attributes(attributes, target_of(specifier));
                self.specifier(specifier);
            }
            Item::Variable(specifier, declarators) => {
                self.specifier(specifier);
                for declarator in declarators {
                    self.declarator(declarator);
                }
            }
            Item::Interface(interface) => self.interface(interface),
            Item::DispatchInterface(interface) => self.dispatch_interface(interface),
            Item::Library(library) => self.library(library),
            Item::CoClass(class) => self.class(class, AttributeTarget::CoClass),
            Item::RuntimeClass(class) => self.class(class, AttributeTarget::RuntimeClass),
            Item::Module(module) => {
                self.attributes(&module.attributes, AttributeTarget::Module);
                self.items(module.items.as_deref().unwrap_or_default());
            }
            Item::Namespace(namespace) => {
                let mut inner = self.namespace.to_string();
                for segment in &namespace.segments {
                    inner.push_str(&segment.name);
                    inner.push('.');
                }
                let outer = std::mem::replace(&mut self.namespace, inner.into());
                self.items(&namespace.items);
                self.namespace = outer;
            }
            Item::ApiContract(contract) => {
                self.declare_type(&contract.name);
                self.attributes(&contract.attributes, AttributeTarget::ApiContract);
            }
            Item::Delegate(delegate) => self.delegate(delegate),
            Item::Declare(types) => {
                for specifier in types {
                    self.specifier(specifier);
                }
            }
            Item::Function(method) => self.function(method),
            Item::Import(_) | Item::CppQuote(_) | Item::DeclareGuid(_) | Item::ImportLibrary(_) => {
            }
        }
    }

    fn typedef(&mut self, typedef: &'a Typedef) {
        self.attributes(&typedef.attributes, AttributeTarget::Typedef);
        self.specifier(&typedef.specifier);
        let chain = self.view().chain(&typedef.specifier);
        for declarator in &typedef.declarators {
            self.declarator(declarator);
            let is_array = matches!(declarator.derivations.first(), Some(Derivation::Array(_)));
            if is_array {
                let span = declarator.span;
                self.complete_type(&chain, &declarator.derivations, span, "an element of an array");
            }
            let target = AttributeTarget::Typedef;
            self.check_type_attributes(
                &typedef.attributes,
                &chain,
                &declarator.derivations,
                declarator.span,
                target,
            );
            if let Some(name) = &declarator.name {
                self.declare_type(name);
            }
            self.system_handle(&typedef.attributes, &typedef.specifier, declarator);
        }
    }

    fn library(&mut self, library: &'a Library) {
        self.attributes(&library.attributes, AttributeTarget::Library);
        if !library.attributes.has(AttributeName::Uuid) {
            let message = format!("library {} has no uuid", quoted(&library.name.name));
            self.warn(
                Diagnostic::warning(library.name.span, message)
                    .hint("MIDL takes a library only with one"),
            );
        }
        self.items(&library.items);
    }

    fn class(&mut self, class: &'a Class, target: AttributeTarget) {
        self.declare_type(&class.name);
        self.attributes(&class.attributes, target);
        if target == AttributeTarget::CoClass
            && class.interfaces.is_some()
            && !class.attributes.has(AttributeName::Uuid)
        {
            let message = format!("coclass {} has no uuid", quoted(&class.name.name));
            self.warn(
                Diagnostic::warning(class.name.span, message)
                    .hint("without one, no client can ask for an object of it"),
            );
        }
        if let Some(base) = &class.base {
            self.interface_name(base);
        }
        for interface in class.interfaces.iter().flatten() {
            self.attributes(&interface.attributes, AttributeTarget::ClassItem);
            self.path_arguments(&interface.path);
            // A class may list interfaces that are declared only in its implementation.
            if self.view().find(&interface.path).is_none() {
                let name = NameReference::Interface(interface.path.clone());
                self.add_unresolved_as(Severity::Warning, name, interface.path.span, None);
            }
        }
    }

    /// Resolves the name of an interface or class.
    pub(super) fn interface_name(&mut self, path: &'a Path) {
        self.path_arguments(path);
        if self.view().find(path).is_none() {
            self.add_unresolved(NameReference::Interface(path.clone()), path.span, None);
        } else {
            self.type_order(path);
        }
    }

    /// Resolves the name of a type.
    pub(super) fn type_path(&mut self, path: &'a Path) {
        self.path_arguments(path);
        if path.as_name().is_some_and(|name| self.is_type_parameter(name)) {
            return;
        }
        if self.view().find(path).is_none() {
            self.add_unresolved(NameReference::Type(path.clone()), path.span, None);
        } else {
            self.type_order(path);
        }
    }

    fn path_arguments(&mut self, path: &'a Path) {
        for argument in &path.arguments {
            self.type_name(argument);
        }
    }
}

/// Returns the attribute target for a type definition without declarators.
fn target_of(specifier: &TypeSpecifier) -> AttributeTarget {
    match specifier.kind {
        TypeKind::Union(_) => AttributeTarget::Union,
        TypeKind::Enum(_) => AttributeTarget::Enum,
        TypeKind::Interface(_) => AttributeTarget::Interface,
        _ => AttributeTarget::Struct,
    }
}
