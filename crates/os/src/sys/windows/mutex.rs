//! Mutexes of the Windows kernel.
#![expect(unsafe_code, reason = "Windows API calls")]

use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::ptr;
use std::time::Duration;

use windows_sys::Win32::Foundation::{WAIT_ABANDONED, WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{
    CreateMutexW, INFINITE, ReleaseMutex, WaitForSingleObject,
};

use super::{milliseconds, own, wide};
use crate::mutex::Ownership;

/// A mutex HANDLE.
pub(crate) type MutexHandle = OwnedHandle;

pub(crate) fn create() -> io::Result<OwnedHandle> {
    // SAFETY: the call gets no attributes and no name. The caller owns the returned handle.
    unsafe { own(CreateMutexW(ptr::null(), 0, ptr::null())) }
}

pub(crate) fn named(name: &str) -> io::Result<OwnedHandle> {
    let name = wide(name)?;
    // SAFETY: the call gets no attributes, and a null-terminated name. The caller owns the returned
    // handle.
    unsafe { own(CreateMutexW(ptr::null(), 0, name.as_ptr())) }
}

/// Locks the mutex for this thread. Returns `None` if the timeout passes first.
pub(crate) fn lock(
    mutex: &MutexHandle,
    timeout: Option<Duration>,
) -> io::Result<Option<Ownership>> {
    let time = timeout.map_or(INFINITE, milliseconds);
    // SAFETY: the handle is open.
    match unsafe { WaitForSingleObject(mutex.as_raw_handle(), time) } {
        WAIT_OBJECT_0 => Ok(Some(Ownership { is_abandoned: false })),
        WAIT_ABANDONED => Ok(Some(Ownership { is_abandoned: true })),
        WAIT_TIMEOUT => Ok(None),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Unlocks the mutex, which this thread must own.
pub(crate) fn unlock(mutex: &MutexHandle) {
    // SAFETY: the handle is open. The call can't fail, because this thread owns the mutex.
    let _ = unsafe { ReleaseMutex(mutex.as_raw_handle()) };
}
