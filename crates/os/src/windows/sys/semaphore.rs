//! Semaphores.
#![expect(unsafe_code, reason = "calls of the Windows API")]

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::System::Threading::{CreateSemaphoreW, ReleaseSemaphore};

use super::{check, own};

pub(crate) fn create(count: u32) -> io::Result<OwnedHandle> {
    let count = i32::try_from(count).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: no attributes and no name; what is returned is ours.
    unsafe { own(CreateSemaphoreW(ptr::null(), count, i32::MAX, ptr::null())) }
}

pub(crate) fn release(semaphore: BorrowedHandle<'_>, count: u32) -> io::Result<()> {
    let count = i32::try_from(count).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the handle is open; nobody wants the count from before.
    check(unsafe { ReleaseSemaphore(semaphore.as_raw_handle(), count, ptr::null_mut()) })
}
