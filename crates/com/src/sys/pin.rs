//! Keeps interfaces registered with the RPC runtime until the process ends. Only Wine needs this.
//!
//! Wine registers an interface with the RPC runtime when a reference to that interface first leaves
//! the process. When the last such reference is released, Wine unregisters the interface and waits
//! for its running calls. If a call ends at that moment, Wine waits forever and holds a lock that
//! every new reference needs, so all later activations hang. To prevent this, one reference to each
//! interface is marshalled at the start and never released.
#![expect(unsafe_code, reason = "calls of COM")]

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use syshandle_os::under_wine;
use syshandle_wire::{Fault, Status};
use windows_sys::Win32::System::Com::Marshal::CoMarshalInterface;
use windows_sys::Win32::System::Com::StructuredStorage::CreateStreamOnHGlobal;
use windows_sys::Win32::System::Com::{MSHCTX_LOCAL, MSHLFLAGS_TABLESTRONG};
use windows_sys::core::GUID;

use super::abi::UnknownVtable;
use super::com_error::ComError;
use super::dispatch::{IncomingCall, ReplySender, Serve};
use super::registered_interface::RegisteredInterface;
use super::served_object::ServedObject;

/// Keeps an interface registered until the process ends, so that objects of this process can be
/// served through it.
///
/// # Errors
/// Returns the errors of `CoMarshalInterface`.
pub(super) fn pin_interface(registered: &'static RegisteredInterface) -> Result<(), ComError> {
    if !under_wine() {
        return Ok(());
    }
    let placeholder = ServedObject::new_unpinned(&[registered], Arc::new(PlaceholderObject));
    // SAFETY: the pointer is a reference to an object with this interface.
    unsafe { pin_object(placeholder.unknown(), &registered.iid) }
}

/// Keeps an interface registered by marshalling an object that implements it. The object is never
/// freed.
///
/// # Safety
/// The pointer must be a reference to an object with this interface.
pub(super) unsafe fn pin_object(object: *mut c_void, iid: &GUID) -> Result<(), ComError> {
    if !under_wine() {
        return Ok(());
    }
    let mut stream = ptr::null_mut();
    // SAFETY: on success, `stream` is a reference that this process owns, and that is released
    // below. The caller has promised that `object` is valid. The reference in the stream is never
    // released.
    unsafe {
        ComError::check(CreateStreamOnHGlobal(ptr::null_mut(), 1, &mut stream))?;
        let (context, flags) = (MSHCTX_LOCAL as u32, MSHLFLAGS_TABLESTRONG as u32);
        let marshalled = CoMarshalInterface(stream, iid, object, context, ptr::null(), flags);
        ((**stream.cast::<*const UnknownVtable>()).release)(stream);
        ComError::check(marshalled)
    }
}

/// An object that exists only to be marshalled. No client ever calls it.
struct PlaceholderObject;

impl Serve for PlaceholderObject {
    fn call(&self, _call: IncomingCall, reply: &mut ReplySender<'_>) {
        let fault = Fault::Failed { text: "nobody has this object".to_owned() };
        reply(Status::Fault, fault.write(), Vec::new());
    }
}
