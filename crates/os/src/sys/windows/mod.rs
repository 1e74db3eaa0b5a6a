//! Windows API calls, each wrapped in a safe function.
//!
//! The `SAFETY` comment of each call states who owns each handle on success and on failure.

pub(crate) mod directory;
pub(crate) mod event;
pub(crate) mod identify;
pub(crate) mod job;
pub(crate) mod mutex;
pub(crate) mod object;
pub(crate) mod process;
pub(crate) mod prove;
pub(crate) mod reg_key;
pub(crate) mod section;
pub(crate) mod semaphore;
pub(crate) mod socket;
pub(crate) mod timer;
pub(crate) mod token;
pub(crate) mod wait;
pub(crate) mod watch;
pub(crate) mod wine;

use std::io;
use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::time::Duration;

use windows_sys::Win32::Foundation::HANDLE;

/// Converts the result of a call that returns zero on failure and stores the reason in
/// `GetLastError`.
fn check(result: i32) -> io::Result<()> {
    match result {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Takes ownership of the handle that a call returned. A null handle means that the call failed,
/// and `GetLastError` returns the reason.
///
/// # Safety
/// The caller must own the handle, unless it is null.
#[expect(unsafe_code, reason = "takes ownership of handles that calls return")]
unsafe fn own(handle: HANDLE) -> io::Result<OwnedHandle> {
    match handle.is_null() {
        true => Err(io::Error::last_os_error()),
        // SAFETY: the caller owns the handle, and transfers the ownership.
        false => Ok(unsafe { OwnedHandle::from_raw_handle(handle) }),
    }
}

/// Converts the `NTSTATUS` of a native API call.
fn check_status(status: i32) -> io::Result<()> {
    match status {
        0.. => Ok(()),
        status => Err(object::error_of_status(status)),
    }
}

/// Converts a text to null-terminated UTF-16.
fn wide(text: &str) -> io::Result<Vec<u16>> {
    match text.contains('\0') {
        true => Err(io::ErrorKind::InvalidInput.into()),
        false => Ok(text.encode_utf16().chain([0]).collect()),
    }
}

/// Converts a duration to milliseconds, rounded up and limited to about 49 days.
fn milliseconds(duration: Duration) -> u32 {
    let up = duration.as_nanos().div_ceil(1_000_000);
    u32::try_from(up).unwrap_or(LONGEST).min(LONGEST)
}

/// The longest finite timeout. `u32::MAX` means an infinite timeout.
const LONGEST: u32 = u32::MAX - 1;

/// The call that duplicates a handle, for error messages.
pub(crate) const DUPLICATE: &str = "DuplicateHandle";

/// Returns `None`, because the system's own error texts suffice.
pub(crate) const fn remedy(_: &str, _: i32) -> Option<&'static str> {
    None
}
