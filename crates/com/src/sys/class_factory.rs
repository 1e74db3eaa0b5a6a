//! Implements `IClassFactory`, the interface of class objects.
#![expect(unsafe_code, reason = "objects of COM are pointers to tables of functions")]

use std::ffi::c_void;
use std::ptr;

use syshandle_wire::Fault;
use windows_sys::Win32::System::Com::{CoAddRefServerProcess, CoReleaseServerProcess};
use windows_sys::core::{GUID, HRESULT};

use super::abi::{
    CLASS_E_NOAGGREGATION, E_NOINTERFACE, E_POINTER, IID_ICLASS_FACTORY, IID_IUNKNOWN, S_OK,
    UnknownVtable,
};
use super::caller::Caller;
use super::guid::same;
use super::served_object::ServedObject;
use crate::Hresult;

/// A callback that creates the object for a client.
pub(super) type ObjectConstructor =
    Box<dyn Fn(Caller) -> Result<ServedObject, Fault> + Send + Sync>;

#[repr(C)]
struct ClassFactory {
    vtable: &'static ClassFactoryVtable,
    make: ObjectConstructor,
}

#[repr(C)]
struct ClassFactoryVtable {
    unknown: UnknownVtable,
    create_instance: unsafe extern "system" fn(
        *mut c_void,
        *mut c_void,
        *const GUID,
        *mut *mut c_void,
    ) -> HRESULT,
    lock_server: unsafe extern "system" fn(*mut c_void, i32) -> HRESULT,
}

static VTABLE: ClassFactoryVtable = ClassFactoryVtable {
    unknown: UnknownVtable { query_interface, add_ref, release },
    create_instance,
    lock_server,
};

/// Creates a class object. It is never freed: a process has only a few, and COM may keep references
/// to them until the process ends.
pub(super) fn new(make: ObjectConstructor) -> *mut c_void {
    ptr::from_mut(Box::leak(Box::new(ClassFactory { vtable: &VTABLE, make }))).cast()
}

unsafe extern "system" fn query_interface(
    this: *mut c_void,
    iid: *const GUID,
    object: *mut *mut c_void,
) -> HRESULT {
    if iid.is_null() || object.is_null() {
        return E_POINTER;
    }
    // SAFETY: COM passes valid pointers.
    unsafe {
        let known = [IID_IUNKNOWN, IID_ICLASS_FACTORY]
            .iter()
            .any(|known| same(known, &iid.read_unaligned()));
        *object = if known { this } else { ptr::null_mut() };
        if known { S_OK } else { E_NOINTERFACE }
    }
}

unsafe extern "system" fn add_ref(_this: *mut c_void) -> u32 {
    2
}

unsafe extern "system" fn release(_this: *mut c_void) -> u32 {
    1
}

/// # Safety
/// `this` must point to a [`ClassFactory`], and the other arguments must be as COM passes them.
unsafe extern "system" fn create_instance(
    this: *mut c_void,
    outer: *mut c_void,
    iid: *const GUID,
    object: *mut *mut c_void,
) -> HRESULT {
    if object.is_null() || iid.is_null() {
        return E_POINTER;
    }
    // SAFETY: the caller upholds this function's contract, and the pointers were checked above.
    unsafe {
        *object = ptr::null_mut();
        if !outer.is_null() {
            return CLASS_E_NOAGGREGATION;
        }
        match ((*this.cast::<ClassFactory>()).make)(Caller::current()) {
            Ok(served) => served.query(iid, object),
            Err(fault) => Hresult::of_fault(&fault).0,
        }
    }
}

unsafe extern "system" fn lock_server(_this: *mut c_void, lock: i32) -> HRESULT {
    // SAFETY: the functions take no arguments. A client that locks the server keeps the process
    // serving.
    unsafe {
        match lock {
            0 => CoReleaseServerProcess(),
            _ => CoAddRefServerProcess(),
        };
    }
    S_OK
}
