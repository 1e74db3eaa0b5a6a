//! The calls of the Windows API, each wrapped directly in a safe function.
//!
//! The `SAFETY` comment of each call proves who owns each handle on success and on failure.

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

/// Converts the result of a call that returns zero if it fails, with the reason in `GetLastError`.
fn check(result: i32) -> io::Result<()> {
    match result {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Takes ownership of the handle that a call returned. A null handle means that the call failed,
/// with the reason in `GetLastError`.
///
/// # Safety
/// The handle, unless it is null, must belong to the caller.
#[expect(unsafe_code, reason = "takes ownership of what a call returned")]
unsafe fn own(handle: HANDLE) -> io::Result<OwnedHandle> {
    match handle.is_null() {
        true => Err(io::Error::last_os_error()),
        // SAFETY: the caller owns the handle and passes it on.
        false => Ok(unsafe { OwnedHandle::from_raw_handle(handle) }),
    }
}

/// Converts the status of a call below the Windows API.
fn check_status(status: i32) -> io::Result<()> {
    match status {
        0.. => Ok(()),
        status => Err(object::error_of_status(status)),
    }
}

/// Converts a text to the form of the API: UTF-16 with a terminating zero.
fn wide(text: &str) -> io::Result<Vec<u16>> {
    match text.contains('\0') {
        true => Err(io::ErrorKind::InvalidInput.into()),
        false => Ok(text.encode_utf16().chain([0]).collect()),
    }
}

/// Returns a time in milliseconds, rounded up, and at most some 49 days.
fn milliseconds(duration: Duration) -> u32 {
    let up = duration.as_nanos().div_ceil(1_000_000);
    u32::try_from(up).unwrap_or(LONGEST).min(LONGEST)
}

/// The largest finite time. The next number means an infinite time.
const LONGEST: u32 = u32::MAX - 1;

/// The call that duplicates a handle.
pub(crate) const DUPLICATE: &str = "DuplicateHandle";

/// Returns no remedy: the system's own text explains its errors.
pub(crate) const fn remedy(_: &str, _: i32) -> Option<&'static str> {
    None
}
