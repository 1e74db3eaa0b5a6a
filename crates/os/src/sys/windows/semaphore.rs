//! Semaphores of the Windows kernel.
#![expect(unsafe_code, reason = "Windows API calls")]

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::ERROR_TOO_MANY_POSTS;
use windows_sys::Win32::System::Threading::{CreateSemaphoreW, ReleaseSemaphore};

use super::{check, own};

pub(crate) fn create(count: u32) -> io::Result<OwnedHandle> {
    let count = i32::try_from(count).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the call gets no attributes and no name. The caller owns the returned handle.
    unsafe { own(CreateSemaphoreW(ptr::null(), count, i32::MAX, ptr::null())) }
}

/// Adds to the count. Returns `false` if the sum would exceed the maximum.
pub(crate) fn release(semaphore: BorrowedHandle<'_>, count: u32) -> io::Result<bool> {
    // `ReleaseSemaphore` rejects a count of zero.
    if count == 0 {
        return Ok(true);
    }
    let count = i32::try_from(count).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the handle is open. The call doesn't return the previous count, because that pointer
    // is null.
    let released =
        check(unsafe { ReleaseSemaphore(semaphore.as_raw_handle(), count, ptr::null_mut()) });
    match released {
        Err(error) if error.raw_os_error() == Some(ERROR_TOO_MANY_POSTS as i32) => Ok(false),
        released => released.map(|()| true),
    }
}
