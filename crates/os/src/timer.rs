//! Timers that expire once or periodically.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | a [timerfd_create(2)](https://man7.org/linux/man-pages/man2/timerfd_create.2.html) timer. [`Timer::new`](crate::Timer::new) uses the monotonic clock | a [waitable timer](https://learn.microsoft.com/windows/win32/sync/waitable-timer-objects) that resets itself |
//! | proof | `timerfd_gettime` succeeds, which it does for no other object | the object's type is `Timer` |
//! | rights | `signal` (set the timer) and `wait`: advisory. Any holder can do both | `signal` (`TIMER_MODIFY_STATE`, set the timer) and `wait` (`SYNCHRONIZE`): enforced by the kernel on the handle |
//! | `try_clone` | the same timer | the same timer |
//! | MIDL | | none |

use std::io;
use std::time::Duration;

use crate::owned::impl_owned;
use crate::wait::impl_wait;
use crate::{BorrowedHandle, Declaration, Handle, Kind, OwnedHandle, Waitable, sys};

/// A timer. Each expiration releases at most one waiter.
///
/// On Linux, converting an owned handle to a timer makes it nonblocking for all its holders.
#[derive(Debug)]
pub struct Timer(OwnedHandle);

impl_owned!(Timer, "timer", Declaration::kind(Kind::Timer), sys::timer::adopt);
impl_wait!(Timer, "the timer expires");

impl Timer {
    /// Creates an unnamed timer that isn't set.
    ///
    /// # Errors
    /// Returns the errors of `timerfd_create(2)` on Linux, for example if this process can't open
    /// more file descriptors, and of `CreateWaitableTimer` on Windows.
    pub fn new() -> io::Result<Self> {
        sys::timer::create().map(Self)
    }

    /// Sets the timer to expire once, after this duration. Replaces the previous setting.
    ///
    /// # Errors
    /// Returns the errors of
    /// [`timerfd_settime(2)`](https://man7.org/linux/man-pages/man2/timerfd_settime.2.html) on
    /// Linux, and of `SetWaitableTimer` on Windows, for example if the handle lacks the right.
    pub fn once(&self, after: Duration) -> io::Result<()> {
        sys::timer::set(self.as_handle(), after, None)
    }

    /// Sets the timer to expire after every `period`. Replaces the previous setting. On Windows,
    /// the period is rounded up to whole milliseconds.
    ///
    /// # Errors
    /// Returns the errors of [`once`](Self::once).
    pub fn every(&self, period: Duration) -> io::Result<()> {
        sys::timer::set(self.as_handle(), period, Some(period))
    }

    /// Stops the timer. On Linux, expirations that no wait has taken are discarded. On Windows, a
    /// wait can still take an earlier expiration.
    ///
    /// # Errors
    /// Returns the errors of `timerfd_settime(2)` on Linux, and of `CancelWaitableTimer` on
    /// Windows, for example if the handle lacks the right.
    pub fn stop(&self) -> io::Result<()> {
        sys::timer::stop(self.as_handle())
    }

    /// Linux only: returns the time until the next expiration. Returns `None` if the timer isn't
    /// set or will not expire again.
    ///
    /// # Errors
    /// Returns the errors of `timerfd_gettime(2)`.
    #[cfg(not(windows))]
    pub fn remaining(&self) -> io::Result<Option<Duration>> {
        sys::timer::remaining(self.as_handle())
    }

    /// Linux only: returns the number of expirations since the timer was last set, waited for, or
    /// queried by this function, and resets that number to zero. Never blocks from Linux 6.10 on.
    /// Before, another holder can block this call by switching the timer to blocking mode and
    /// reading it during the call.
    ///
    /// # Errors
    /// Returns the errors of `read(2)` on a timerfd.
    #[cfg(not(windows))]
    pub fn expirations(&self) -> io::Result<u64> {
        sys::timer::expirations(self.as_handle())
    }
}

impl Waitable for Timer {
    fn handle(&self) -> BorrowedHandle<'_> {
        self.as_handle()
    }

    #[cfg(not(windows))]
    fn take(&self) -> io::Result<bool> {
        Ok(self.expirations()? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, wait_any};

    #[test]
    fn a_timer_that_was_set_once_expires_once() {
        let timer = Timer::new().unwrap();
        assert!(!timer.wait_timeout(Duration::ZERO).unwrap());
        timer.once(Duration::from_millis(1)).unwrap();
        timer.wait().unwrap();
        assert!(!timer.wait_timeout(Duration::ZERO).unwrap());
    }

    #[test]
    fn a_periodic_timer_expires_repeatedly_until_it_is_stopped() {
        let timer = Timer::new().unwrap();
        timer.every(Duration::from_millis(1)).unwrap();
        timer.wait().unwrap();
        timer.wait().unwrap();
        timer.stop().unwrap();
    }

    #[test]
    fn a_timer_is_the_deadline_of_a_wait_for_any() {
        let (timer, event) = (Timer::new().unwrap(), Event::new().unwrap());
        timer.once(Duration::from_millis(1)).unwrap();
        assert_eq!(wait_any(&[&event, &timer], None).unwrap(), Some(1));
    }
}
