//! Converts interfaces.

use std::collections::HashSet;

use super::methods::{explicit_name, is_property, rust_name};
use super::structs::docs;
use super::{Lowering, LoweringError, Result, ident, names};
use crate::front::ast::{AttributeName, Interface, Method};
use crate::front::check::symbols::Definition;
use crate::front::diagnostic::{Diagnostic, quoted};
use crate::front::limits::{CHAIN_MAX, LOWERED_VALUES_MAX};
use syshandle_model as model;

impl<'a> Lowering<'_, 'a> {
    /// Converts an interface, unless it has already been converted.
    pub(super) fn interface(&mut self, interface: &'a Interface) {
        if !self.state.visited_interfaces.insert(interface.name.span) {
            return;
        }
        // `describe_interface` has reported the errors.
        match self.describe_interface(interface) {
            Ok(described) => {
                self.state.spans.insert(described.name.to_string(), interface.name.span);
                self.description.interfaces.push(described);
            }
            Err(LoweringError) => {
                let client = format!("{}Client", names::trait_name(&interface.name.name));
                self.state.unsupported.insert(client, interface.name.span);
            }
        }
        self.place.clear();
    }

    fn describe_interface(&mut self, interface: &'a Interface) -> Result<model::Interface> {
        let name = &interface.name.name;
        let span = interface.name.span;
        self.place = format!("interface {}", quoted(name));
        let attributes = &interface.attributes;
        if !interface.type_parameters.is_empty() {
            return self.refuse(span, "it has type parameters", "write an interface for each type");
        }
        if !attributes.has(AttributeName::Object) && !attributes.has(AttributeName::Odl) {
            let hint = "add `object`, and derive it from IUnknown";
            return self.refuse(span, "it is an RPC interface, without objects", hint);
        }
        let Some(iid) = attributes.uuid() else {
            return self.refuse(span, "it has no identifier", "add `uuid(…)`");
        };
        let (methods, bases) = self.methods(interface)?;
        self.state.values +=
            methods.iter().map(|method| 1 + method.parameters.list.len()).sum::<usize>();
        if self.state.values > LOWERED_VALUES_MAX {
            let what = format!(
                "the interfaces have more than {LOWERED_VALUES_MAX} methods and parameters, \
                 inherited ones included"
            );
            return self.refuse(span, what, "name the interfaces that are needed with `--only`");
        }
        let trait_name = names::trait_name(name);
        self.claim_name(&trait_name, span)?;
        self.claim_name(&format!("{trait_name}Client"), span)?;
        let declared = self.method_layouts(interface, &methods);
        let mut lowered = Vec::new();
        let mut is_refused = false;
        let names = self.method_names(&methods);
        for (method, rust_name) in methods.into_iter().zip(names) {
            match self.method(name, method, rust_name) {
                Ok(method_lowered) => lowered.push(method_lowered),
                Err(LoweringError) => is_refused = true,
            }
        }
        if is_refused {
            return Err(LoweringError);
        }
        let is_private = self.private.iter().any(|private| **private == **name);
        if is_private {
            self.state.found_private.insert(name.to_string());
        }
        self.state.layouts.insert(trait_name.clone(), declared);
        Ok(model::Interface {
            iid: iid.0.to_be_bytes(),
            docs: docs(attributes),
            visibility: quote::quote!(pub),
            name: ident(&trait_name),
            bases,
            is_private,
            methods: lowered,
        })
    }

    /// Returns a distinct Rust name for each method. If a property and a method have the same name,
    /// the names of the property's accessors start with `get_` and `put_`. The names can be chosen
    /// freely, because they aren't part of the wire format.
    fn method_names(&mut self, methods: &[&'a Method]) -> Vec<String> {
        let plain: HashSet<String> =
            methods.iter().filter(|of| !is_property(of)).map(|of| rust_name(of)).collect();
        let mut unique_names = names::UniqueNames::default();
        let mut found = vec![String::new(); methods.len()];
        let of_kind = |wanted: bool| {
            methods.iter().enumerate().filter(move |(_, of)| is_property(of) == wanted)
        };
        for (at, method) in of_kind(false).chain(of_kind(true)) {
            let usual = rust_name(method);
            let is_taken = is_property(method) && plain.contains(&usual);
            found[at] =
                unique_names.name(if is_taken { explicit_name(method) } else { usual.clone() });
            if found[at] != usual {
                let message = format!(
                    "method {} is {} in Rust, because another one is {}",
                    quoted(&method.name.name),
                    quoted(&found[at]),
                    quoted(&usual)
                );
                self.state.diagnostics.push(Diagnostic::warning(method.name.span, message));
            }
        }
        found
    }

    /// Returns the methods of an interface in vtable order, which starts with the inherited ones.
    /// Also returns the names of the bases.
    fn methods(&mut self, interface: &'a Interface) -> Result<(Vec<&'a Method>, Vec<String>)> {
        let mut chain = vec![interface];
        let mut bases = Vec::new();
        while let Some(path) = chain.last().and_then(|last| last.base.as_ref()) {
            bases.push(path.name());
            if path.as_name().is_some_and(|name| ROOTS.contains(&&**name)) {
                break;
            }
            let base = match self.view.find(path).map(|symbol| symbol.definition) {
                Some(Definition::Interface(base)) if base.members.is_some() => base,
                _ => {
                    let what =
                        format!("its base {} is only forward-declared", quoted(&path.name()));
                    let announced = self.view.find(path).map(|symbol| symbol.span);
                    let hint = self.where_defined(announced.unwrap_or(path.span));
                    return self.refuse(path.span, what, hint);
                }
            };
            if chain.len() == CHAIN_MAX {
                return self.refuse(path.span, "it has too many bases", "");
            }
            chain.push(base);
        }
        Ok((chain.iter().rev().flat_map(|interface| remote_methods(interface)).collect(), bases))
    }
}

/// Returns the methods of an interface that can be called from other processes. A method with
/// `call_as` replaces the `local` method that it names.
fn remote_methods(interface: &Interface) -> Vec<&Method> {
    let stands_for = |method: &Method| {
        let attribute = method.attributes.find(AttributeName::CallAs)?;
        attribute.values().next()?.as_name().cloned()
    };
    let replaced: HashSet<_> = interface.methods().filter_map(stands_for).collect();
    let is_remote = |method: &&Method| {
        !(method.attributes.has(AttributeName::Local) && replaced.contains(&method.name.name))
    };
    interface.methods().filter(is_remote).collect()
}

/// Root interfaces, whose methods aren't converted to Rust. The methods are either implemented for
/// every object or used for calls by name at run time.
const ROOTS: [&str; 3] = ["IUnknown", "IDispatch", "IInspectable"];
