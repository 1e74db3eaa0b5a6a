//! Timers that expire once or periodically.
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
use super::wait::{Waitable, wait_any};
use crate::sys::timer;
use crate::{BorrowedHandle, Declared, Kind, OwnedHandle};

/// A timer. Each expiration lets one wait through.
#[derive(Debug)]
pub struct Timer(OwnedHandle);

impl_owned!(Timer, "timer", Declared::kind(Kind::Timer));

impl Timer {
    /// Makes a timer that isn't set.
    ///
    /// # Errors
    /// Returns the errors of `CreateWaitableTimer`.
    pub fn new() -> io::Result<Self> {
        Ok(Self(timer::create()?))
    }

    /// Sets the timer to expire once, after this time.
    ///
    /// # Errors
    /// Returns the errors of `SetWaitableTimer`, for example if the handle lacks the right.
    pub fn once(&self, after: Duration) -> io::Result<()> {
        timer::set(self.0.as_handle(), after, Duration::ZERO)
    }

    /// Sets the timer to expire periodically. The period is rounded up to whole milliseconds.
    ///
    /// # Errors
    /// Returns the errors of `SetWaitableTimer`, for example if the handle lacks the right.
    pub fn every(&self, period: Duration) -> io::Result<()> {
        timer::set(self.0.as_handle(), period, period)
    }

    /// Stops the timer. An earlier expiration can still be waited for.
    ///
    /// # Errors
    /// Returns the errors of `CancelWaitableTimer`, for example if the handle lacks the right.
    pub fn stop(&self) -> io::Result<()> {
        timer::cancel(self.0.as_handle())
    }

    /// Waits until the timer expires, without a time limit.
    ///
    /// # Errors
    /// Returns the errors of `WaitForSingleObject`.
    pub fn wait(&self) -> io::Result<()> {
        wait_any(&[self], None).map(drop)
    }

    /// Waits until the timer expires, but at most `timeout`; returns whether it did.
    ///
    /// # Errors
    /// Returns the errors of `WaitForSingleObject`.
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
