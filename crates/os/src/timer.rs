//! Timers that expire once or periodically.
//!
//! | | |
//! |---|---|
//! | object | a [timerfd_create(2)](https://man7.org/linux/man-pages/man2/timerfd_create.2.html) timer, with the monotonic clock if made by this type |
//! | proof | `timerfd_gettime` succeeds, which it does for no other object |
//! | rights | `signal` (set it) and `wait`: advisory. Each holder can do both |
//! | `try_clone` | the same timer |
//! | Windows | a waitable timer HANDLE; not in MIDL |

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use crate::handle::impl_handle;
use crate::system_call::{DUPLICATE, failed};
use crate::wait::{Waitable, timespec, wait_any};
use crate::{Declared, Kind};

/// A timer. Each expiration lets at most one wait through.
#[derive(Debug)]
pub struct Timer(OwnedFd);

impl_handle!(Timer => Declared::kind(Kind::Timer));

impl Timer {
    /// Makes a timer that isn't set.
    ///
    /// # Errors
    /// Returns the errors of `timerfd_create(2)`, for example if no descriptor is left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let made = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags);
        made.map(Self).map_err(failed("timerfd_create"))
    }

    /// Sets the timer to expire once, after this time. Replaces the previous setting.
    ///
    /// # Errors
    /// Returns the errors of
    /// [`timerfd_settime(2)`](https://man7.org/linux/man-pages/man2/timerfd_settime.2.html).
    pub fn once(&self, after: Duration) -> io::Result<()> {
        self.set(at_least_one(after), Duration::ZERO)
    }

    /// Sets the timer to expire periodically. Replaces the previous setting.
    ///
    /// # Errors
    /// Returns the errors of `timerfd_settime(2)`.
    pub fn every(&self, period: Duration) -> io::Result<()> {
        let period = at_least_one(period);
        self.set(period, period)
    }

    /// Stops the timer, and discards expirations that were not waited for.
    ///
    /// # Errors
    /// Returns the errors of `timerfd_settime(2)`.
    pub fn stop(&self) -> io::Result<()> {
        self.set(Duration::ZERO, Duration::ZERO)
    }

    /// Returns the time until the next expiration; `None` if the timer isn't set, or will not
    /// expire again.
    ///
    /// # Errors
    /// Returns the errors of `timerfd_gettime(2)`.
    pub fn remaining(&self) -> io::Result<Option<Duration>> {
        let Timespec { tv_sec, tv_nsec } = rustix::time::timerfd_gettime(&self.0)?.it_value;
        let remaining = Duration::new(tv_sec.unsigned_abs(), u32::try_from(tv_nsec).unwrap_or(0));
        Ok((!remaining.is_zero()).then_some(remaining))
    }

    /// Returns the number of expirations since the timer was set, waited for, or last queried by
    /// this function. Never blocks, with one exception: before Linux 6.10, a holder blocks this
    /// call by switching the timer to blocking and taking the count during the call.
    ///
    /// # Errors
    /// Returns the errors of `read(2)` on a timerfd.
    pub fn expirations(&self) -> io::Result<u64> {
        loop {
            let mut count = [0; 8];
            match read(&self.0, &mut count) {
                Ok(_) => return Ok(u64::from_ne_bytes(count)),
                Err(Errno::AGAIN) => return Ok(0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until the timer expires, without a time limit. If the timer isn't set, the wait never
    /// ends.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)` and `read(2)`.
    pub fn wait(&self) -> io::Result<()> {
        wait_any(&[self], None).map(drop)
    }

    /// Waits until the timer expires, but at most `timeout`; returns whether it did.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)` and `read(2)`.
    pub fn wait_timeout(&self, timeout: Duration) -> io::Result<bool> {
        Ok(wait_any(&[self], Some(timeout))?.is_some())
    }

    /// Returns a second handle to the same timer.
    ///
    /// # Errors
    /// Fails if no descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self).map_err(failed(DUPLICATE))
    }

    fn set(&self, first: Duration, period: Duration) -> io::Result<()> {
        let times = Itimerspec { it_interval: timespec(period), it_value: timespec(first) };
        rustix::time::timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &times)?;
        Ok(())
    }
}

impl Waitable for Timer {
    fn handle(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn take(&self) -> io::Result<bool> {
        Ok(self.expirations()? > 0)
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Takes over a timerfd, and switches it to nonblocking for all its holders.
impl From<OwnedFd> for Timer {
    fn from(handle: OwnedFd) -> Self {
        // This call never fails on a timerfd. On other objects this type promises nothing.
        let _ = rustix::fs::fcntl_setfl(&handle, OFlags::RDWR | OFlags::NONBLOCK);
        Self(handle)
    }
}

impl From<Timer> for OwnedFd {
    fn from(timer: Timer) -> Self {
        timer.0
    }
}

fn read(timer: &OwnedFd, count: &mut [u8; 8]) -> rustix::io::Result<usize> {
    let buffers = &mut [IoSliceMut::new(count)];
    // NOWAIT: an untrusted holder may have switched the timer back to blocking.
    match rustix::io::preadv2(timer, buffers, u64::MAX, ReadWriteFlags::NOWAIT) {
        // Before Linux 6.10 timers don't support NOWAIT.
        Err(Errno::OPNOTSUPP) => {
            let mut polls = [PollFd::new(timer, PollFlags::IN)];
            match rustix::event::poll(&mut polls, Some(&timespec(Duration::ZERO)))? {
                0 => Err(Errno::AGAIN),
                _ => rustix::io::read(timer, count),
            }
        }
        result => result,
    }
}

/// Replaces a time of zero, which would stop the timer.
fn at_least_one(time: Duration) -> Duration {
    time.max(Duration::from_nanos(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, wait_any};

    #[test]
    fn once_is_once() {
        let timer = Timer::new().unwrap();
        assert_eq!(timer.remaining().unwrap(), None);
        timer.once(Duration::ZERO).unwrap();
        timer.wait().unwrap();
        assert!(!timer.wait_timeout(Duration::ZERO).unwrap());
        assert_eq!(timer.remaining().unwrap(), None);
    }

    #[test]
    fn every_is_again_and_again_until_stopped() {
        let timer = Timer::new().unwrap();
        timer.every(Duration::from_millis(1)).unwrap();
        timer.wait().unwrap();
        timer.wait().unwrap();
        timer.stop().unwrap();
        assert_eq!(timer.expirations().unwrap(), 0);
    }

    #[test]
    fn a_timer_is_the_deadline_of_a_wait_for_any() {
        let (timer, event) = (Timer::new().unwrap(), Event::new().unwrap());
        timer.once(Duration::from_millis(1)).unwrap();
        assert_eq!(wait_any(&[&event, &timer], None).unwrap(), Some(1));
        timer.once(Duration::from_secs(3600)).unwrap();
        assert!(timer.remaining().unwrap() > Some(Duration::from_secs(3500)));
    }

    #[test]
    fn a_timer_that_arrives_blocking_is_read_without_blocking() {
        let flags = TimerfdFlags::CLOEXEC;
        let blocking = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags).unwrap();
        assert_eq!(Timer(blocking).expirations().unwrap(), 0);
    }
}
