//! Semaphores.
#![expect(unsafe_code, reason = "calls of the Windows API")]

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::System::Threading::{CreateSemaphoreW, ReleaseSemaphore};

use super::{check, own};

pub(crate) fn create(count: u32) -> io::Result<OwnedHandle> {
    let count = i32::try_from(count).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the call takes no attributes and no name; the returned handle belongs to the caller.
    unsafe { own(CreateSemaphoreW(ptr::null(), count, i32::MAX, ptr::null())) }
}

pub(crate) fn release(semaphore: BorrowedHandle<'_>, count: u32) -> io::Result<()> {
    let count = i32::try_from(count).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the handle is open, and the call writes no previous count to the null pointer.
    check(unsafe { ReleaseSemaphore(semaphore.as_raw_handle(), count, ptr::null_mut()) })
}
