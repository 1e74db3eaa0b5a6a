//! Functions that enter COM's multithreaded apartment and cancel calls.
#![expect(unsafe_code, reason = "calls of COM")]

use std::ffi::c_void;
use std::ptr;

use syshandle_os::under_wine;
use syshandle_types::Guid;
use windows_sys::Win32::System::Com::{
    COINIT_MULTITHREADED, CoCancelCall, CoEnableCallCancellation, CoInitializeEx,
};
use windows_sys::core::{GUID, HRESULT};

use super::com_error::ComError;
use super::guid::own_guid;

/// Puts the calling thread into the multithreaded apartment permanently. `CoUninitialize` is never
/// called, because under Wine it may block forever while other threads make calls.
///
/// # Errors
/// Returns the errors of `CoInitializeEx`, for example if the thread is already in a
/// single-threaded apartment.
pub fn enter_apartment() -> Result<(), ComError> {
    // SAFETY: the argument is reserved.
    ComError::check(unsafe { CoInitializeEx(ptr::null(), COINIT_MULTITHREADED as u32) })
}

/// Returns the identifier of the call chain that the calling thread is part of. Client and server
/// see the same identifier.
pub fn logical_thread() -> Guid {
    let mut guid = GUID::from_u128(0);
    // SAFETY: the function only writes to `guid`. On failure, `guid` stays zero.
    unsafe { CoGetCurrentLogicalThreadId(&mut guid) };
    own_guid(&guid)
}

/// Allows other threads to cancel the calling thread's COM calls with [`cancel_call`]. Has no
/// effect under Wine.
pub fn take_cancellations() {
    if !under_wine() {
        // SAFETY: the argument is reserved. If the function fails, a cancelled call continues and
        // its result is dropped.
        unsafe { CoEnableCallCancellation(ptr::null::<c_void>()) };
    }
}

/// Requests cancellation of a thread's current COM call. Has no effect under Wine, which doesn't
/// support cancellation.
pub fn cancel_call(thread: u32) {
    if !under_wine() {
        // SAFETY: the arguments are a thread number and a timeout of zero.
        unsafe { CoCancelCall(thread, 0) };
    }
}

windows_link::link!("ole32.dll" "system" fn CoGetCurrentLogicalThreadId(guid: *mut GUID) -> HRESULT);
