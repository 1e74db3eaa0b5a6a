//! The apartment, and who is the other side of it.
#![expect(unsafe_code, reason = "calls of COM")]

use std::ffi::c_void;
use std::ptr;

use syshandle_os::under_wine;
use syshandle_wire::Guid;
use windows_sys::Win32::System::Com::{
    COINIT_MULTITHREADED, CoCancelCall, CoEnableCallCancellation, CoInitializeEx,
};
use windows_sys::core::{GUID, HRESULT};

use super::{ComError, own_guid};

/// Puts this thread into the multithreaded apartment, for good: `CoUninitialize` is never called, as
/// it may wait for ever under Wine while others still call.
///
/// # Errors
/// Those of `CoInitializeEx`: this thread is in an apartment of its own already.
pub fn enter_apartment() -> Result<(), ComError> {
    // SAFETY: the argument is reserved.
    ComError::check(unsafe { CoInitializeEx(ptr::null(), COINIT_MULTITHREADED as u32) })
}

/// The identity of the chain of calls that this thread is in: the same on both sides of a call.
pub fn logical_thread() -> Guid {
    let mut guid = GUID::from_u128(0);
    // SAFETY: the structure is written; when that fails it stays zero.
    unsafe { CoGetCurrentLogicalThreadId(&mut guid) };
    own_guid(&guid)
}

/// Lets other threads end the calls of this one ([`cancel_call`]). Does nothing under Wine.
pub fn take_cancellations() {
    if !under_wine() {
        // SAFETY: the argument is reserved. Without it calls go on, and nobody waits for them.
        unsafe { CoEnableCallCancellation(ptr::null::<c_void>()) };
    }
}

/// Asks COM to end the call that another thread is in. Does nothing under Wine, which can't.
pub fn cancel_call(thread: u32) {
    if !under_wine() {
        // SAFETY: a number and a time to wait, none.
        unsafe { CoCancelCall(thread, 0) };
    }
}

windows_link::link!("ole32.dll" "system" fn CoGetCurrentLogicalThreadId(guid: *mut GUID) -> HRESULT);
