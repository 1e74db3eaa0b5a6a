//! Converts classes.

use super::structs::docs;
use super::{Lowering, ident, names};
use crate::front::ast::{AttributeName, Class};
use crate::front::check::symbols::Definition;
use crate::front::diagnostic::quoted;
use syshandle_model::{self as model, CLASS_INTERFACES_MAX};

impl<'a> Lowering<'_, 'a> {
    /// Converts a class with the interfaces that its objects implement.
    pub(super) fn class(&mut self, class: &'a Class) {
        let name = &class.name.name;
        self.place = format!("class {}", quoted(name));
        let Some(clsid) = class.attributes.uuid() else {
            // `refuse` has reported the error.
            let _ = self.refuse::<()>(class.name.span, "it has no identifier", "add `uuid(…)`");
            self.place.clear();
            return;
        };
        let mut interfaces = Vec::new();
        for item in class.interfaces.iter().flatten() {
            // A source interface is one that the object calls but doesn't implement.
            if item.attributes.has(AttributeName::Source) || item.is_dispatch {
                continue;
            }
            match self.view.find(&item.path).map(|symbol| symbol.definition) {
                Some(Definition::Interface(of)) if of.attributes.has(AttributeName::Local) => {
                    let what = format!("interface {} of the class", quoted(&of.name.name));
                    self.report_unsupported(
                        item.path.span,
                        "it is `local`, so no other process can call it",
                        &what,
                    );
                }
                Some(Definition::Interface(interface)) if interface.members.is_some() => {
                    // The default interface is moved to the front.
                    let place = match item.attributes.has(AttributeName::Default) {
                        true => 0,
                        false => interfaces.len(),
                    };
                    interfaces.insert(place, ident(&names::trait_name(&interface.name.name)));
                    self.pending_interfaces.push(interface);
                }
                _ => {
                    let what = format!("{} can't be expressed in Rust", quoted(&item.path.name()));
                    let hint = self.where_defined(item.path.span);
                    let _ = self.refuse::<()>(item.path.span, what, hint);
                }
            }
        }
        self.place.clear();
        if interfaces.is_empty() {
            return;
        }
        if interfaces.len() > CLASS_INTERFACES_MAX {
            let what = format!(
                "class {} has {} interfaces, but the limit is {CLASS_INTERFACES_MAX}",
                quoted(name),
                interfaces.len()
            );
            let _ =
                self.refuse::<()>(class.name.span, what, "declare a second class for the others");
            return;
        }
        let constant = names::constant(name);
        if self.claim_name(&constant, class.name.span).is_ok() {
            self.state.spans.insert(constant.clone(), class.name.span);
            self.description.classes.push(model::Class {
                docs: docs(&class.attributes),
                name: ident(&constant),
                clsid: clsid.0.to_be_bytes(),
                interfaces,
            });
        }
    }
}
