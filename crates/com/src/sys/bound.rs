//! Interfaces that this process has tables for.
#![expect(unsafe_code, reason = "tables that the RPC runtime reads, and fills in part")]

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use syshandle_wire::Guid;
use syshandle_wire::describe::Interface;
use windows_sys::Win32::System::Com::{
    CLSCTX_INPROC_SERVER, CoRegisterClassObject, CoRegisterPSClsid, REGCLS_MULTIPLEUSE,
};
use windows_sys::core::GUID;

use super::layout::{FactoryBuffer, IID_IPS_FACTORY_BUFFER, NdrDllGetClassObject};
use super::{ComError, com_guid, own_guid, proxy_file, served};
use crate::Compiled;

/// An interface that this process has tables for, so that its objects can be called and served.
pub struct Bound {
    pub(super) compiled: Compiled,
    pub(super) iid: GUID,
    /// The vtable of an object of this process.
    pub(super) vtable: *const c_void,
}

// SAFETY: the vtable is read only, and as lasting as the program.
unsafe impl Send for Bound {}
// SAFETY: as above.
unsafe impl Sync for Bound {}

/// What has tables already, by its IID. It stays: stubs and proxies may be there until the end.
static BOUND: Mutex<Option<HashMap<Guid, &'static Bound>>> = Mutex::new(None);

impl Bound {
    /// The tables of an interface, made and registered when they are first asked for. The thread
    /// has to be in the multithreaded apartment.
    ///
    /// # Errors
    /// The interface can't be one of COM's; those of registering.
    pub fn of(interface: &'static Interface) -> Result<&'static Self, ComError> {
        let mut bound = BOUND.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = bound.get_or_insert_default();
        if let Some(known) = bound.get(&interface.iid) {
            return Ok(known);
        }
        let compiled = proxy_file::compile(interface)?;
        let iid = com_guid(interface.iid);
        let vtable = served::vtable(compiled.methods.len());
        let made: &'static Self = Box::leak(Box::new(Self { compiled, iid, vtable }));
        made.register()?;
        bound.insert(interface.iid, made);
        Ok(made)
    }

    /// The identifier of the interface.
    pub fn iid(&self) -> Guid {
        own_guid(&self.iid)
    }

    /// Registers its proxies and stubs for this process, under a class of the same identifier.
    fn register(&'static self) -> Result<(), ComError> {
        let file = proxy_file::of(&[(&self.compiled, &self.iid)], lookup, Some(served::thunk));
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
