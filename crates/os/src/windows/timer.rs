//! Timers: an object that is signalled when a time has come.
//!
//! | | |
//! |---|---|
//! | object | a [waitable timer](https://learn.microsoft.com/windows/win32/sync/waitable-timer-objects) that resets itself |
//! | proof | the object's type is `Timer` |
//! | rights | `signal` (`TIMER_MODIFY_STATE`, to set it) and `wait` (`SYNCHRONIZE`): enforced by the kernel on the handle |
//! | `try_clone` | the same timer |
//! | MIDL | none |

use std::io;
use std::os::windows::io::AsHandle;
use std::time::Duration;

use super::handle::impl_owned;
use super::sys::timer;
use super::wait::{Waitable, wait_any};
use crate::{BorrowedHandle, Declared, Kind, OwnedHandle};

/// A timer; each time that comes lets one wait through.
#[derive(Debug)]
pub struct Timer(OwnedHandle);

impl_owned!(Timer, "timer", Declared::kind(Kind::Timer));

impl Timer {
    /// Makes a timer that isn't set.
    ///
    /// # Errors
    /// Those of `CreateWaitableTimer`.
    pub fn new() -> io::Result<Self> {
        Ok(Self(timer::create()?))
    }

    /// Sets it to one time, `after` from now.
    ///
    /// # Errors
    /// Those of `SetWaitableTimer`: the handle lacks the right.
    pub fn once(&self, after: Duration) -> io::Result<()> {
        timer::set(self.0.as_handle(), after, Duration::ZERO)
    }

    /// Sets it to the times `period` from now, and so on. In milliseconds, rounded up.
    ///
    /// # Errors
    /// Those of `SetWaitableTimer`: the handle lacks the right.
    pub fn every(&self, period: Duration) -> io::Result<()> {
        timer::set(self.0.as_handle(), period, period)
    }

    /// Unsets it. A time that has come stays to be waited for.
    ///
    /// # Errors
    /// Those of `CancelWaitableTimer`: the handle lacks the right.
    pub fn stop(&self) -> io::Result<()> {
        timer::cancel(self.0.as_handle())
    }

    /// Waits until a time has come, for as long as it takes.
    ///
    /// # Errors
    /// Those of `WaitForSingleObject`.
    pub fn wait(&self) -> io::Result<()> {
        wait_any(&[self], None).map(drop)
    }

    /// Waits until a time has come, but not longer than `timeout`; says whether it has.
    ///
    /// # Errors
    /// Those of `WaitForSingleObject`.
    pub fn wait_timeout(&self, timeout: Duration) -> io::Result<bool> {
        Ok(wait_any(&[self], Some(timeout))?.is_some())
    }
}

impl Waitable for Timer {
    fn handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_lets_one_wait_through() {
        let timer = Timer::new().unwrap();
        assert!(!timer.wait_timeout(Duration::ZERO).unwrap());
        timer.once(Duration::from_millis(1)).unwrap();
        timer.wait().unwrap();
        assert!(!timer.wait_timeout(Duration::ZERO).unwrap());
        timer.every(Duration::from_millis(1)).unwrap();
        timer.wait().unwrap();
        timer.wait().unwrap();
        timer.stop().unwrap();
    }
}
