//! Objects of the program without the types of their interfaces, and the functions that create them.

use std::sync::Arc;

use syshandle_types::{Guid, describe};

use crate::server::IncomingCall;
use crate::{Error, ErrorKind, Result};

/// A class that a server serves.
pub(crate) struct ServedClass {
    pub(crate) clsid: Guid,
    pub(crate) interfaces: &'static [&'static describe::Interface],
    pub(crate) make: Factory,
}

/// Creates the object for a client that activates the class.
pub(crate) type Factory = Box<dyn Fn() -> Object + Send + Sync>;

/// An object, with one or more interfaces.
#[derive(Clone, Default)]
pub struct Object(Vec<Arc<dyn AnyInterface>>);

impl Object {
    /// Creates an object without interfaces.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an interface to the object.
    pub(crate) fn add(&mut self, interface: Arc<dyn AnyInterface>) {
        self.0.push(interface);
    }

    /// Returns one of the object's interfaces.
    pub(crate) fn interface(&self, iid: Guid) -> Option<Arc<dyn AnyInterface>> {
        self.0.iter().find(|interface| interface.description().iid == iid).cloned()
    }

    /// Checks that the object has an interface.
    pub(crate) fn require(&self, interface: &describe::Interface) -> Result<()> {
        match self.interface(interface.iid) {
            Some(_) => Ok(()),
            None => Err(no_interface(interface, self.descriptions())),
        }
    }

    /// Returns the descriptions of the object's interfaces, in order.
    pub(crate) fn descriptions(&self) -> impl Iterator<Item = &'static describe::Interface> {
        self.0.iter().map(|interface| interface.description())
    }

    /// Returns the interfaces of this object in the form in which a greeting lists them.
    #[cfg(not(windows))]
    pub(crate) fn offers(&self) -> Vec<syshandle_wire::Offer> {
        let offer = |interface| crate::descriptions::offer(Guid::NIL, interface);
        self.descriptions().map(offer).collect()
    }
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|interface| interface.description().name)).finish()
    }
}

/// Returns the error of an object that has the interfaces `has`, but not the wanted one.
pub(crate) fn no_interface(
    wanted: &describe::Interface,
    has: impl Iterator<Item = &'static describe::Interface>,
) -> Error {
    let names: Vec<_> = has.map(|has| format!("`{}`", has.name)).collect();
    let mut text =
        format!("the object has no interface `{}`, only {}", wanted.name, names.join(", "));
    if names.len() == 1 {
        text.push_str(": `CLASS.in_process(…)` makes an object with all interfaces of its class");
    }
    Error::detected(ErrorKind::NoSuchInterface, text)
}

/// An interface of an object, without the type of the interface.
pub(crate) trait AnyInterface: Send + Sync {
    fn description(&self) -> &'static describe::Interface;

    fn dispatch(&self, call: IncomingCall<'_>);
}
