//! The calls of the Windows API, each wrapped at once in a safe function.
//!
//! Whoever adds one here proves in its `SAFETY` comment who owns each handle on success and on
//! failure.

pub(crate) mod event;
pub(crate) mod job;
pub(crate) mod library;
pub(crate) mod mutex;
pub(crate) mod object;
pub(crate) mod process;
pub(crate) mod registry;
pub(crate) mod section;
pub(crate) mod semaphore;
pub(crate) mod socket;
pub(crate) mod timer;
pub(crate) mod token;
pub(crate) mod wait;
pub(crate) mod watch;

use std::io;
use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::time::Duration;

use windows_sys::Win32::Foundation::HANDLE;

/// The result of a call that says zero, and why by `GetLastError`, when it fails.
fn check(result: i32) -> io::Result<()> {
    match result {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Owns the handle that a call returned, which is null, with `GetLastError`, when it failed.
///
/// # Safety
/// The handle, where it isn't null, belongs to the caller.
#[expect(unsafe_code, reason = "takes ownership of what a call returned")]
unsafe fn own(handle: HANDLE) -> io::Result<OwnedHandle> {
    match handle.is_null() {
        true => Err(io::Error::last_os_error()),
        // SAFETY: the caller owns it and gives it away.
        false => Ok(unsafe { OwnedHandle::from_raw_handle(handle) }),
    }
}

/// The status of a call below the Windows API.
fn check_status(status: i32) -> io::Result<()> {
    match status {
        0.. => Ok(()),
        status => Err(object::error_of_status(status)),
    }
}

/// A text as the API takes it: UTF-16, ended by a zero.
fn wide(text: &str) -> io::Result<Vec<u16>> {
    match text.contains('\0') {
        true => Err(io::ErrorKind::InvalidInput.into()),
        false => Ok(text.encode_utf16().chain([0]).collect()),
    }
}

/// A time in milliseconds, rounded up; at most some 49 days.
fn milliseconds(duration: Duration) -> u32 {
    let up = duration.as_nanos().div_ceil(1_000_000);
    u32::try_from(up).unwrap_or(LONGEST).min(LONGEST)
}

/// The number after it means for ever.
const LONGEST: u32 = u32::MAX - 1;
