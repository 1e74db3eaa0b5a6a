//! Mutexes.
#![expect(unsafe_code, reason = "calls of the Windows API")]

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;
use std::time::Duration;

use windows_sys::Win32::Foundation::{WAIT_ABANDONED, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{
    CreateMutexW, INFINITE, ReleaseMutex, WaitForSingleObject,
};

use super::{check, milliseconds, own, wide};

/// The result of an attempt to lock.
pub(crate) enum Locked {
    /// The timeout passed.
    Not,
    /// This thread owns the mutex.
    Owned,
    /// This thread owns the mutex, and its last owner ended without unlocking it.
    Abandoned,
}

pub(crate) fn create() -> io::Result<OwnedHandle> {
    // SAFETY: the call takes no attributes and no name; the returned handle belongs to the caller.
    unsafe { own(CreateMutexW(ptr::null(), 0, ptr::null())) }
}

pub(crate) fn named(name: &str) -> io::Result<OwnedHandle> {
    let name = wide(name)?;
    // SAFETY: the call takes no attributes, and a name that ends with a zero. The returned handle
    // belongs to the caller.
    unsafe { own(CreateMutexW(ptr::null(), 0, name.as_ptr())) }
}

pub(crate) fn lock(mutex: BorrowedHandle<'_>, timeout: Option<Duration>) -> io::Result<Locked> {
    let time = timeout.map_or(INFINITE, milliseconds);
    // SAFETY: the handle is open.
    match unsafe { WaitForSingleObject(mutex.as_raw_handle(), time) } {
        WAIT_OBJECT_0 => Ok(Locked::Owned),
        WAIT_ABANDONED => Ok(Locked::Abandoned),
        WAIT_TIMEOUT => Ok(Locked::Not),
        _ => Err(io::Error::last_os_error()),
    }
}

pub(crate) fn unlock(mutex: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the handle is open.
    check(unsafe { ReleaseMutex(mutex.as_raw_handle()) })
}
