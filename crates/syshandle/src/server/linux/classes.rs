//! The classes that a server offers.

use std::collections::HashMap;

use syshandle_types::Guid;
use syshandle_wire::Fault;

use crate::guard::{ForeignValue, guard};
use crate::untyped_object::{Factory, Object, ServedClass};

/// The functions that create the objects of each class.
pub(crate) struct Classes(ForeignValue<HashMap<Guid, Factory>>);

impl Classes {
    pub(super) fn new(classes: Vec<ServedClass>) -> Self {
        let factories = classes.into_iter().map(|class| (class.clsid, class.make)).collect();
        Self(ForeignValue::new(factories))
    }

    /// Creates an object of a class. Runs user code.
    pub(super) fn make(&self, clsid: Guid) -> Result<Object, Fault> {
        let make = self.0.get(&clsid).ok_or(Fault::NoSuchClass(clsid))?;
        guard(make).map_err(|text| Fault::NoObject { text })
    }
}

impl std::fmt::Debug for Classes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
