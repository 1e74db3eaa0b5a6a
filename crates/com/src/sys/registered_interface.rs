//! Interfaces whose format strings are registered in this process.
#![expect(unsafe_code, reason = "tables that the RPC runtime reads, and fills in part")]

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use syshandle_types::Guid;
use syshandle_types::describe::{Interface, Type};
use windows_sys::Win32::System::Com::{
    CLSCTX_INPROC_SERVER, CoRegisterClassObject, CoRegisterPSClsid, REGCLS_MULTIPLEUSE,
};
use windows_sys::core::GUID;

use super::abi::{IID_IPS_FACTORY_BUFFER, NdrDllGetClassObject, PsFactoryBuffer};
use super::com_error::ComError;
use super::guid::{com_guid, own_guid};
use super::{dispatch, pin, proxy_file, served_object};
use crate::tables::CompiledInterface;

/// An interface whose format strings are registered in this process. Its objects can be called and
/// served.
pub struct RegisteredInterface {
    pub(super) interface: &'static Interface,
    pub(super) compiled: CompiledInterface,
    pub(super) iid: GUID,
    /// The vtable of this process's objects that implement the interface.
    pub(super) vtable: *const c_void,
    /// Whether [`pin`] keeps the interface registered until the process ends.
    is_pinned: Mutex<bool>,
}

// SAFETY: the vtable is never written and lives until the process ends.
unsafe impl Send for RegisteredInterface {}
// SAFETY: as above.
unsafe impl Sync for RegisteredInterface {}

/// All registered interfaces by IID. They are never removed, because stubs and proxies may use them
/// until the process ends.
static REGISTERED: Mutex<Option<HashMap<Guid, &'static RegisteredInterface>>> = Mutex::new(None);

impl RegisteredInterface {
    /// Returns a registered interface. On first use, registers this interface and all interfaces
    /// whose references it passes. The calling thread must be in the multithreaded apartment.
    ///
    /// # Errors
    /// Returns an error if COM can't represent one of these interfaces, or if registration fails.
    pub fn of(interface: &'static Interface) -> Result<&'static Self, ComError> {
        if let Some(known) = Self::find(interface.iid) {
            return Ok(known);
        }
        // The referenced interfaces are registered first. An interface in `REGISTERED` therefore
        // never refers to an unregistered one.
        let mut all = vec![interface];
        let mut index = 0;
        while let Some(interface) = all.get(index) {
            for other in references(interface) {
                if !all.iter().any(|known| known.iid == other.iid) {
                    all.push(other);
                }
            }
            index += 1;
        }
        let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
        let registered = registered.get_or_insert_default();
        for interface in all.into_iter().rev() {
            if registered.contains_key(&interface.iid) {
                continue;
            }
            let compiled = proxy_file::compile(interface)?;
            let iid = com_guid(interface.iid);
            let vtable = served_object::vtable(compiled.methods.len());
            let new: &'static Self = Box::leak(Box::new(Self {
                interface,
                compiled,
                iid,
                vtable,
                is_pinned: Mutex::new(false),
            }));
            new.register()?;
            registered.insert(interface.iid, new);
        }
        Ok(registered[&interface.iid])
    }

    /// Returns the interface with this IID, if it is registered.
    pub(super) fn find(iid: Guid) -> Option<&'static Self> {
        let registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
        registered.as_ref()?.get(&iid).copied()
    }

    /// Returns the IID.
    pub fn iid(&self) -> Guid {
        own_guid(&self.iid)
    }

    /// Keeps the interface registered until the process ends ([`pin`]), so that objects of this
    /// process can be served through it.
    pub(super) fn pin(&'static self) -> Result<(), ComError> {
        let mut is_pinned = self.is_pinned.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_pinned {
            pin::pin_interface(self)?;
            *is_pinned = true;
        }
        Ok(())
    }

    /// Registers the interface's proxies and stubs with COM for this process, with the IID as their
    /// CLSID.
    fn register(&'static self) -> Result<(), ComError> {
        let file = proxy_file::build(&[(&self.compiled, &self.iid)], lookup, Some(dispatch::thunk));
        let buffer = PsFactoryBuffer::leak(file);
        let mut factory = ptr::null_mut();
        let mut cookie = 0;
        // SAFETY: all tables have the form that the RPC runtime requires, are writable and live
        // until the process ends.
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

/// Returns the interfaces whose references the methods of an interface pass.
fn references(interface: &'static Interface) -> Vec<&'static Interface> {
    let mut found = Vec::new();
    for method in interface.methods {
        let parameters = method.parameters.iter().map(|parameter| parameter.ty);
        parameters.chain([method.result.ty]).for_each(|ty| add_references(&ty, &mut found));
    }
    found
}

/// Adds the interface if the type is an object reference. COM can't pass references nested in other
/// types.
fn add_references(ty: &Type, found: &mut Vec<&'static Interface>) {
    match ty {
        Type::Object(interface) => found.push(interface()),
        Type::Option(inner) => add_references(inner, found),
        Type::Tuple(parts) => parts.iter().for_each(|part| add_references(part, found)),
        _ => {}
    }
}

impl std::fmt::Debug for RegisteredInterface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegisteredInterface")
            .field("compiled", &self.compiled)
            .finish_non_exhaustive()
    }
}

/// Implements the lookup of an interface in a proxy file. Each proxy file contains one interface,
/// and the RPC runtime looks up only that one.
unsafe extern "system" fn lookup(iid: *const GUID, index: *mut i32) -> i32 {
    // SAFETY: the RPC runtime passes two valid pointers.
    unsafe {
        *index = 0;
        // This function must not lock `REGISTERED`, because it is called during registration, which
        // holds the lock.
        i32::from(!iid.is_null())
    }
}
