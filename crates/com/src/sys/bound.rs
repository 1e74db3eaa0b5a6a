//! Interfaces that this process has tables for.
#![expect(unsafe_code, reason = "tables that the RPC runtime reads, and fills in part")]

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use syshandle_wire::Guid;
use syshandle_wire::describe::{Interface, Type};
use windows_sys::Win32::System::Com::{
    CLSCTX_INPROC_SERVER, CoRegisterClassObject, CoRegisterPSClsid, REGCLS_MULTIPLEUSE,
};
use windows_sys::core::GUID;

use super::layout::{FactoryBuffer, IID_IPS_FACTORY_BUFFER, NdrDllGetClassObject};
use super::{ComError, com_guid, incoming, own_guid, pinned, proxy_file, served};
use crate::Compiled;

/// An interface that this process has tables for, so that its objects can be called and served.
pub struct Bound {
    pub(super) interface: &'static Interface,
    pub(super) compiled: Compiled,
    pub(super) iid: GUID,
    /// The vtable of an object of this process.
    pub(super) vtable: *const c_void,
    /// Whether it stays registered once an object of this process has left it.
    is_pinned: Mutex<bool>,
}

// SAFETY: the vtable is read only, and as lasting as the program.
unsafe impl Send for Bound {}
// SAFETY: as above.
unsafe impl Sync for Bound {}

/// What has tables already, by its IID. It stays: stubs and proxies may be there until the end.
static BOUND: Mutex<Option<HashMap<Guid, &'static Bound>>> = Mutex::new(None);

impl Bound {
    /// The tables of an interface, made and registered when they are first asked for, and those of
    /// all interfaces that it passes references of. The thread has to be in the multithreaded
    /// apartment.
    ///
    /// # Errors
    /// The interface, or one of the others, can't be one of COM's; those of registering.
    pub fn of(interface: &'static Interface) -> Result<&'static Self, ComError> {
        if let Some(known) = Self::known(interface.iid) {
            return Ok(known);
        }
        // All or none of them, so that none is known before those that it needs.
        let mut all = vec![interface];
        let mut place = 0;
        while let Some(interface) = all.get(place) {
            for other in references(interface) {
                if !all.iter().any(|known| known.iid == other.iid) {
                    all.push(other);
                }
            }
            place += 1;
        }
        let mut bound = BOUND.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = bound.get_or_insert_default();
        for interface in all.into_iter().rev() {
            if bound.contains_key(&interface.iid) {
                continue;
            }
            let compiled = proxy_file::compile(interface)?;
            let iid = com_guid(interface.iid);
            let vtable = served::vtable(compiled.methods.len());
            let made: &'static Self = Box::leak(Box::new(Self {
                interface,
                compiled,
                iid,
                vtable,
                is_pinned: Mutex::new(false),
            }));
            made.register()?;
            bound.insert(interface.iid, made);
        }
        Ok(bound[&interface.iid])
    }

    /// The tables of an interface, if they have been asked for.
    pub(super) fn known(iid: Guid) -> Option<&'static Self> {
        let bound = BOUND.lock().unwrap_or_else(PoisonError::into_inner);
        bound.as_ref()?.get(&iid).copied()
    }

    /// The identifier of the interface.
    pub fn iid(&self) -> Guid {
        own_guid(&self.iid)
    }

    /// Sees to it that objects of this process can be served by this interface ([`pinned`]).
    pub(super) fn pin(&'static self) -> Result<(), ComError> {
        let mut is_pinned = self.is_pinned.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_pinned {
            pinned::pin(self)?;
            *is_pinned = true;
        }
        Ok(())
    }

    /// Registers its proxies and stubs for this process, under a class of the same identifier.
    fn register(&'static self) -> Result<(), ComError> {
        let file = proxy_file::of(&[(&self.compiled, &self.iid)], lookup, Some(incoming::thunk));
        let buffer = FactoryBuffer { vtable: ptr::null(), count: 0, files: file, filler: 0 };
        let buffer: *mut FactoryBuffer = Box::leak(Box::new(buffer));
        let mut factory = ptr::null_mut();
        let mut cookie = 0;
        // SAFETY: all tables are as the runtime wants them, writable, and stay.
        unsafe {
            let (iid, factory_iid) = (&raw const self.iid, &raw const IID_IPS_FACTORY_BUFFER);
            let got = NdrDllGetClassObject(iid, factory_iid, &mut factory, file, iid, buffer);
            ComError::check(got)?;
            let context = CLSCTX_INPROC_SERVER;
            let flags = REGCLS_MULTIPLEUSE as u32;
            ComError::check(CoRegisterClassObject(iid, factory, context, flags, &mut cookie))?;
            ComError::check(CoRegisterPSClsid(iid, iid))
        }
    }
}

/// The interfaces of which an interface passes references.
fn references(interface: &'static Interface) -> Vec<&'static Interface> {
    let mut found = Vec::new();
    for method in interface.methods {
        let parameters = method.parameters.iter().map(|parameter| parameter.ty);
        parameters.chain([method.result.ty]).for_each(|ty| add_references(&ty, &mut found));
    }
    found
}

/// Adds those of a type; within other values they don't travel.
fn add_references(ty: &Type, found: &mut Vec<&'static Interface>) {
    match ty {
        Type::Object(interface) => found.push(interface()),
        Type::Option(inner) => add_references(inner, found),
        Type::Tuple(parts) => parts.iter().for_each(|part| add_references(part, found)),
        _ => {}
    }
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("compiled", &self.compiled).finish_non_exhaustive()
    }
}

/// Whether an interface is in a file, and where: each has just one, and is only asked for that.
unsafe extern "system" fn lookup(iid: *const GUID, index: *mut i32) -> i32 {
    // SAFETY: the runtime passes both.
    unsafe {
        *index = 0;
        // Not under the lock of those that are bound: that one is held while they are registered.
        i32::from(!iid.is_null())
    }
}
