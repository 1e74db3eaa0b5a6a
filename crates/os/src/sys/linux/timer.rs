//! Timers, which are timerfds.

use std::io::{self, IoSliceMut};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use super::wait::timespec;
use crate::system_call::failed;

pub(crate) fn create() -> io::Result<OwnedFd> {
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags).map_err(failed("timerfd_create"))
}

/// Takes over a timerfd, and makes it nonblocking for all its holders.
pub(crate) fn adopt(handle: OwnedFd) -> OwnedFd {
    // This call can't fail on a timerfd. For other objects, this type guarantees nothing.
    let _ = rustix::fs::fcntl_setfl(&handle, OFlags::RDWR | OFlags::NONBLOCK);
    handle
}

/// Sets the timer to expire after `first` and, if `period` is `Some`, again after each period.
pub(crate) fn set(
    timer: BorrowedFd<'_>,
    first: Duration,
    period: Option<Duration>,
) -> io::Result<()> {
    let period = period.map_or(Duration::ZERO, at_least_one);
    set_times(timer, at_least_one(first), period)
}

pub(crate) fn stop(timer: BorrowedFd<'_>) -> io::Result<()> {
    set_times(timer, Duration::ZERO, Duration::ZERO)
}

fn set_times(timer: BorrowedFd<'_>, first: Duration, period: Duration) -> io::Result<()> {
    let times = Itimerspec { it_interval: timespec(period), it_value: timespec(first) };
    rustix::time::timerfd_settime(timer, TimerfdTimerFlags::empty(), &times)?;
    Ok(())
}

pub(crate) fn remaining(timer: BorrowedFd<'_>) -> io::Result<Option<Duration>> {
    let Timespec { tv_sec, tv_nsec } = rustix::time::timerfd_gettime(timer)?.it_value;
    let remaining = Duration::new(tv_sec.unsigned_abs(), u32::try_from(tv_nsec).unwrap_or(0));
    Ok((!remaining.is_zero()).then_some(remaining))
}

pub(crate) fn expirations(timer: BorrowedFd<'_>) -> io::Result<u64> {
    loop {
        let mut count = [0; 8];
        match read(timer, &mut count) {
            Ok(_) => return Ok(u64::from_ne_bytes(count)),
            Err(Errno::AGAIN) => return Ok(0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn read(timer: BorrowedFd<'_>, count: &mut [u8; 8]) -> rustix::io::Result<usize> {
    let buffers = &mut [IoSliceMut::new(count)];
    // `NOWAIT` is needed because another holder may have switched the timer back to blocking mode.
    match rustix::io::preadv2(timer, buffers, u64::MAX, ReadWriteFlags::NOWAIT) {
        // Before Linux 6.10, timers don't support `NOWAIT`.
        Err(Errno::OPNOTSUPP) => {
            let mut polls = [PollFd::from_borrowed_fd(timer, PollFlags::IN)];
            match rustix::event::poll(&mut polls, Some(&timespec(Duration::ZERO)))? {
                0 => Err(Errno::AGAIN),
                _ => rustix::io::read(timer, count),
            }
        }
        result => result,
    }
}

/// Replaces zero by the shortest time, because zero would stop the timer.
fn at_least_one(time: Duration) -> Duration {
    time.max(Duration::from_nanos(1))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::Timer;

    #[test]
    fn the_remaining_time_is_that_to_the_next_expiration() {
        let timer = Timer::new().unwrap();
        assert_eq!(timer.remaining().unwrap(), None);
        timer.once(Duration::ZERO).unwrap();
        timer.wait().unwrap();
        assert_eq!(timer.remaining().unwrap(), None);
        timer.once(Duration::from_secs(3600)).unwrap();
        assert!(timer.remaining().unwrap() > Some(Duration::from_secs(3500)));
    }

    #[test]
    fn a_stopped_timer_has_no_expirations() {
        let timer = Timer::new().unwrap();
        timer.every(Duration::from_millis(1)).unwrap();
        timer.wait().unwrap();
        timer.stop().unwrap();
        assert_eq!(timer.expirations().unwrap(), 0);
    }

    #[test]
    fn a_timer_that_arrives_blocking_is_read_without_blocking() {
        let flags = TimerfdFlags::CLOEXEC;
        let blocking = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags).unwrap();
        assert_eq!(expirations(blocking.as_fd()).unwrap(), 0);
    }
}
