//! Checks interfaces: UUIDs, bases, and duplicate members.

use std::collections::HashMap;

use super::Checker;
use super::methods::CallKind;
use super::scope::Root;
use super::symbols::Definition;
use crate::front::ast::{
    AttributeName, AttributeTarget, Delegate, DispatchInterface, DispatchMember, Interface, Item,
    Member, Method, Path, Typedef,
};
use crate::front::diagnostic::{Diagnostic, quoted};
use crate::front::limits::CHAIN_MAX;
use crate::front::source::Span;
use crate::front::token::Name;

impl<'a> Checker<'_, 'a> {
    pub(super) fn interface(&mut self, interface: &'a Interface) {
        self.declare_type(&interface.name);
        self.attributes(&interface.attributes, AttributeTarget::Interface);
        let outer = self.type_parameters.len();
        self.type_parameters.extend(&interface.type_parameters);
        for path in interface.base.iter().chain(&interface.requires) {
            self.interface_name(path);
        }
        if let Some(base) = &interface.base {
            self.base(interface, base);
        }
        if interface.members.is_some() {
            self.identity(interface);
        }
        let call_kind = call_kind(interface, !self.namespace.is_empty());
        for member in interface.members.iter().flatten() {
            match member {
                Member::Method(method) => self.method(method, call_kind),
                Member::Item(item) => self.inner_item(item),
            }
        }
        self.distinct_methods(interface.methods());
        self.type_parameters.truncate(outer);
    }

    pub(super) fn delegate(&mut self, delegate: &'a Delegate) {
        self.declare_type(&delegate.method.name);
        self.attributes(&delegate.attributes, AttributeTarget::Delegate);
        let outer = self.type_parameters.len();
        self.type_parameters.extend(&delegate.type_parameters);
        self.method(&delegate.method, CallKind::Com);
        self.type_parameters.truncate(outer);
    }

    pub(super) fn dispatch_interface(&mut self, interface: &'a DispatchInterface) {
        self.declare_type(&interface.name);
        self.attributes(&interface.attributes, AttributeTarget::DispatchInterface);
        for member in interface.members.iter().flatten() {
            match member {
                DispatchMember::Interface(path) => self.interface_name(path),
                DispatchMember::Property(attributes, specifier, declarators) => {
                    self.attributes(attributes, AttributeTarget::Property);
                    self.specifier(specifier);
                    for declarator in declarators {
                        self.declarator(declarator);
                    }
                }
                DispatchMember::Method(method) => self.method(method, CallKind::Dispatch),
            }
        }
        let methods = interface.members.iter().flatten().filter_map(|member| match member {
            DispatchMember::Method(method) => Some(method),
            _ => None,
        });
        self.distinct_methods(methods);
    }

    /// Checks a declaration inside an interface. Interfaces can't be nested.
    fn inner_item(&mut self, item: &'a Item) {
        if let Item::Interface(Interface { name, members: Some(_), .. })
        | Item::DispatchInterface(DispatchInterface { name, members: Some(_), .. }) = item
        {
            let message = format!("interface {} is inside another one", quoted(&name.name));
            self.error(Diagnostic::error(name.span, message).hint("is a `}` missing before it?"));
        }
        self.item(item);
    }

    fn identity(&mut self, interface: &'a Interface) {
        if !interface.attributes.has(AttributeName::Object) {
            return;
        }
        let name = &interface.name;
        // A malformed UUID has already been reported.
        if !interface.attributes.has(AttributeName::Uuid) {
            let message = format!("object interface {} has no uuid", quoted(&name.name));
            self.warn(
                Diagnostic::warning(name.span, message)
                    .hint("without one, no client can ask for it"),
            );
        }
        let is_local = interface.attributes.has(AttributeName::Local);
        if interface.base.is_none() && &*name.name != "IUnknown" && !is_local {
            let message = format!("object interface {} derives from nothing", quoted(&name.name));
            self.warn(
                Diagnostic::warning(name.span, message)
                    .hint("every object interface derives from `IUnknown`"),
            );
        }
    }

    /// Checks that the base is an interface and that the interface doesn't inherit from itself.
    fn base(&mut self, interface: &'a Interface, base: &'a Path) {
        let mut next = base;
        for _ in 0..CHAIN_MAX {
            let Some(symbol) = self.view().find(next) else { return };
            match symbol.definition {
                Definition::Interface(other) if std::ptr::eq(other, interface) => {
                    let message =
                        format!("interface {} derives from itself", quoted(&interface.name.name));
                    self.error(Diagnostic::error(base.span, message));
                    return;
                }
                Definition::Interface(Interface { base: Some(base), .. }) => next = base,
                Definition::Interface(_) | Definition::Class => return,
                Definition::Typedef(typedef, _) if self.may_be_interface(typedef) => return,
                other => {
                    let message = format!(
                        "{} is {}, not an interface",
                        quoted(&next.name()),
                        other.description()
                    );
                    self.error(
                        Diagnostic::error(base.span, message)
                            .related(symbol.span, "it is declared here"),
                    );
                    return;
                }
            }
        }
        let message = format!(
            "interface {} derives from itself or from more than {CHAIN_MAX} interfaces",
            quoted(&interface.name.name)
        );
        self.error(Diagnostic::error(base.span, message));
    }

    /// Returns whether a typedef may refer to an interface. Returns `true` if the type is unknown.
    fn may_be_interface(&self, typedef: &'a Typedef) -> bool {
        match self.view().chain(&typedef.specifier).root {
            Root::Definition(Definition::Interface(_)) | Root::Other | Root::Unknown => true,
            Root::Definition(_) | Root::Base(_) => false,
        }
    }

    /// Checks that no two methods have the same name. Accessors of the same property and overloads
    /// are allowed.
    fn distinct_methods(&mut self, methods: impl Iterator<Item = &'a Method>) {
        let mut first: HashMap<(&Name, Option<AttributeName>), Span> = HashMap::new();
        for method in methods {
            if method.attributes.has(AttributeName::Overload) {
                continue;
            }
            let access = ACCESSES.into_iter().find(|&access| method.attributes.has(access));
            let name = &method.name;
            if let Some(known) = first.insert((&name.name, access), name.span) {
                let message = format!("method {} is declared twice", quoted(&name.name));
                self.error(
                    Diagnostic::error(name.span, message).related(known, "it is declared here"),
                );
            }
        }
    }
}

/// The attributes of accessor methods, which share the name of their property or event.
const ACCESSES: [AttributeName; 5] = [
    AttributeName::Propget,
    AttributeName::Propput,
    AttributeName::Propputref,
    AttributeName::Eventadd,
    AttributeName::Eventremove,
];

/// Returns the way in which the methods of an interface are called.
fn call_kind(interface: &Interface, in_namespace: bool) -> CallKind {
    let attributes = &interface.attributes;
    if attributes.has(AttributeName::Local) {
        CallKind::Local
    } else if attributes.has(AttributeName::Object) || in_namespace {
        CallKind::Com
    } else {
        CallKind::Rpc
    }
}
