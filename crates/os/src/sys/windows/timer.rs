//! Waitable timers of the Windows kernel.
#![expect(unsafe_code, reason = "Windows API calls")]

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;
use std::time::Duration;

use windows_sys::Win32::System::Threading::{
    CancelWaitableTimer, CreateWaitableTimerW, SetWaitableTimer,
};

use super::{check, milliseconds, own};

pub(crate) fn create() -> io::Result<OwnedHandle> {
    // SAFETY: the call gets no attributes and no name. The caller owns the returned handle.
    unsafe { own(CreateWaitableTimerW(ptr::null(), 0, ptr::null())) }
}

/// Takes over a timer. Windows needs no change to it.
pub(crate) const fn adopt(handle: OwnedHandle) -> OwnedHandle {
    handle
}

/// Sets the timer to expire after `first` and, if `period` is `Some`, again after each period.
pub(crate) fn set(
    timer: BorrowedHandle<'_>,
    first: Duration,
    period: Option<Duration>,
) -> io::Result<()> {
    // A negative time is relative to the current time. The unit is 100 ns.
    let first = -i64::try_from(first.as_nanos().div_ceil(100)).unwrap_or(i64::MAX);
    let period = period.map_or(0, milliseconds);
    let period = i32::try_from(period).unwrap_or(i32::MAX);
    // SAFETY: the handle is open, `first` lives until the call returns, and no callback is passed.
    check(unsafe { SetWaitableTimer(timer.as_raw_handle(), &first, period, None, ptr::null(), 0) })
}

pub(crate) fn stop(timer: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the handle is open.
    check(unsafe { CancelWaitableTimer(timer.as_raw_handle()) })
}
