//! Interfaces that stay registered with the RPC runtime, under Wine.
//!
//! Wine registers an interface with the first reference to an object by it that leaves the process,
//! and takes that back with the last, which waits for the calls of the interface that still run. But
//! a call that ends at that moment is waited for forever, with a lock held that all further
//! references need: from then on every activation hangs. So one reference to each interface is out
//! from the beginning, which nobody ever gets. Windows needs none of this.
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

use super::layout::UnknownVtable;
use super::{Bound, ComError, Given, Replying, Serve, Served};

/// Keeps an interface that objects of this process have registered until the process ends.
///
/// # Errors
/// Those of `CoMarshalInterface`.
pub(super) fn pin(bound: &'static Bound) -> Result<(), ComError> {
    if !under_wine() {
        return Ok(());
    }
    let nobody = Served::with(&[bound], Arc::new(Nobody));
    // SAFETY: a reference to an object with this interface.
    unsafe { pin_object(nobody.unknown(), &bound.iid) }
}

/// The same for an interface by an object that has it, which stays as well.
///
/// # Safety
/// The pointer is a reference to an object with this interface.
pub(super) unsafe fn pin_object(object: *mut c_void, iid: &GUID) -> Result<(), ComError> {
    if !under_wine() {
        return Ok(());
    }
    let mut stream = ptr::null_mut();
    // SAFETY: on success the stream is a reference of ours, given back below; the object is the
    // caller's promise. The reference that is written to the stream is never taken back.
    unsafe {
        ComError::check(CreateStreamOnHGlobal(ptr::null_mut(), 1, &mut stream))?;
        let (context, flags) = (MSHCTX_LOCAL as u32, MSHLFLAGS_TABLESTRONG as u32);
        let marshalled = CoMarshalInterface(stream, iid, object, context, ptr::null(), flags);
        ((**stream.cast::<*const UnknownVtable>()).release)(stream);
        ComError::check(marshalled)
    }
}

/// An object that nobody has.
struct Nobody;

impl Serve for Nobody {
    fn call(&self, _call: Given, reply: &mut Replying<'_>) {
        let fault = Fault::Failed { text: "nobody has this object".to_owned() };
        reply(Status::Fault, fault.write(), Vec::new());
    }
}
