//! Timers: the time has come, once or again and again.
//!
//! | | |
//! |---|---|
//! | object | a [timerfd_create(2)](https://man7.org/linux/man-pages/man2/timerfd_create.2.html) timer, of the monotonic clock when made here |
//! | proof | `timerfd_gettime` answers, which it does for nothing else |
//! | rights | `signal` (set it) and `wait`: advisory. Whoever holds it can do both |
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

/// A timer: each time that it goes off, it lets at most one wait through.
#[derive(Debug)]
pub struct Timer(OwnedFd);

impl_handle!(Timer => Declared::kind(Kind::Timer));

impl Timer {
    /// Makes a timer that isn't set.
    ///
    /// # Errors
    /// Those of `timerfd_create(2)`: no descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let made = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags);
        made.map(Self).map_err(failed("timerfd_create"))
    }

    /// Sets the timer to go off once, after this time, and forgets what it was set to.
    ///
    /// # Errors
    /// Those of
    /// [`timerfd_settime(2)`](https://man7.org/linux/man-pages/man2/timerfd_settime.2.html).
    pub fn once(&self, after: Duration) -> io::Result<()> {
        self.set(at_least_one(after), Duration::ZERO)
    }

    /// Sets the timer to go off each time that this time has passed, and forgets what it was set
    /// to.
    ///
    /// # Errors
    /// Those of `timerfd_settime(2)`.
    pub fn every(&self, period: Duration) -> io::Result<()> {
        let period = at_least_one(period);
        self.set(period, period)
    }

    /// Stops the timer; that it went off before is forgotten too.
    ///
    /// # Errors
    /// Those of `timerfd_settime(2)`.
    pub fn stop(&self) -> io::Result<()> {
        self.set(Duration::ZERO, Duration::ZERO)
    }

    /// The time until it goes off next; `None` when it isn't set, or has gone off for good.
    ///
    /// # Errors
    /// Those of `timerfd_gettime(2)`.
    pub fn remaining(&self) -> io::Result<Option<Duration>> {
        let Timespec { tv_sec, tv_nsec } = rustix::time::timerfd_gettime(&self.0)?.it_value;
        let remaining = Duration::new(tv_sec.unsigned_abs(), u32::try_from(tv_nsec).unwrap_or(0));
        Ok((!remaining.is_zero()).then_some(remaining))
    }

    /// How often it has gone off since it was set, waited for, or asked this. Never blocks; before Linux
    /// 6.10 a holder that has switched the timer to blocking, and takes the count during this very call,
    /// blocks it.
    ///
    /// # Errors
    /// Those of `read(2)` on a timerfd.
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

    /// Waits until it goes off, for as long as it takes: for ever, if it isn't set.
    ///
    /// # Errors
    /// Those of `poll(2)` and `read(2)`.
    pub fn wait(&self) -> io::Result<()> {
        wait_any(&[self], None).map(drop)
    }

    /// Waits until it goes off, but not longer than `timeout`; says whether it did.
    ///
    /// # Errors
    /// Those of `poll(2)` and `read(2)`.
    pub fn wait_timeout(&self, timeout: Duration) -> io::Result<bool> {
        Ok(wait_any(&[self], Some(timeout))?.is_some())
    }

    /// A second handle to the same timer.
    ///
    /// # Errors
    /// No descriptor left.
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

/// Takes a timerfd, and switches it to not blocking for all who hold it.
impl From<OwnedFd> for Timer {
    fn from(handle: OwnedFd) -> Self {
        // It fails for no timerfd; and for what isn't one, nothing here promises anything.
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
    // NOWAIT: a holder who isn't trusted may have switched it back to blocking.
    match rustix::io::preadv2(timer, buffers, u64::MAX, ReadWriteFlags::NOWAIT) {
        // Before Linux 6.10 a timer doesn't know of NOWAIT.
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

/// A time of zero would stop the timer.
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
