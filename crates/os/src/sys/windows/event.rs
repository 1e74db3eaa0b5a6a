//! Events of the Windows kernel.
#![expect(unsafe_code, reason = "Windows API calls")]

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::DuplicateHandle;
use windows_sys::Win32::System::Threading::{
    CreateEventW, GetCurrentProcess, ResetEvent, SYNCHRONIZATION_SYNCHRONIZE, SetEvent,
};

use super::{check, own};

pub(crate) fn create(manual: bool) -> io::Result<OwnedHandle> {
    // SAFETY: the call gets no attributes and no name. The caller owns the returned handle.
    unsafe { own(CreateEventW(ptr::null(), manual.into(), 0, ptr::null())) }
}

pub(crate) fn set(event: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the handle is open.
    check(unsafe { SetEvent(event.as_raw_handle()) })
}

pub(crate) fn reset(event: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the handle is open.
    check(unsafe { ResetEvent(event.as_raw_handle()) })
}

pub(crate) fn to_wait(event: BorrowedHandle<'_>) -> io::Result<OwnedHandle> {
    let mut handle = ptr::null_mut();
    let access = SYNCHRONIZATION_SYNCHRONIZE;
    // SAFETY: both processes are this process, and the handle is open. On success, the caller owns
    // the new handle.
    unsafe {
        let (process, raw) = (GetCurrentProcess(), event.as_raw_handle());
        check(DuplicateHandle(process, raw, process, &mut handle, access, 0, 0))?;
        own(handle)
    }
}
