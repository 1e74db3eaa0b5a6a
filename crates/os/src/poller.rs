//! Waiting for many descriptors at once, by any number of threads.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags};

/// A set of descriptors, each with a key: an
/// [epoll(7)](https://man7.org/linux/man-pages/man7/epoll.7.html).
///
/// Any number of threads wait; each readiness wakes one of them.
#[derive(Debug)]
pub struct Poller(OwnedFd);

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Each time that something came to read, or the other end closed.
    Readable,
    /// Once: the next time that something is there to read, or the other end closed.
    OnceReadable,
    /// Once: the same, or that there is room to write.
    OnceBoth,
    /// Once: the next time that what it would read as has changed.
    OnceChanged,
}

/// A descriptor that became ready.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// Its key.
    pub key: u64,
    /// Something can be read, or the other end closed.
    pub readable: bool,
    /// Something can be written.
    pub writable: bool,
}

impl Poller {
    /// An empty set.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// Adds a descriptor. It must be removed before it is closed.
    ///
    /// # Errors
    /// Those of [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html): no memory,
    /// or past the limit of watches (`fs.epoll.max_user_watches`).
    pub fn add(&self, handle: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.0, handle, EventData::new_u64(key), interest.flags())?)
    }

    /// Waits for something else from a descriptor that was added, or once more.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    pub fn change(&self, handle: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.0, handle, EventData::new_u64(key), interest.flags())?)
    }

    /// Removes a descriptor.
    pub fn remove(&self, handle: impl AsFd) {
        // It fails only for one that isn't there.
        let _ = epoll::delete(&self.0, handle);
    }

    /// Waits until a descriptor is ready, for as long as it takes.
    ///
    /// # Errors
    /// Those of `epoll_wait(2)`; a signal is none.
    pub fn wait(&self) -> io::Result<Ready> {
        loop {
            if let Some(ready) = self.wait_within(None)? {
                return Ok(ready);
            }
        }
    }

    /// What is ready now, if anything is; doesn't wait.
    ///
    /// # Errors
    /// Those of `epoll_wait(2)`; a signal is none.
    pub fn look(&self) -> io::Result<Option<Ready>> {
        self.wait_within(Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))
    }

    fn wait_within(&self, time: Option<&Timespec>) -> io::Result<Option<Ready>> {
        let mut event = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }];
        match epoll::wait(&self.0, &mut event, time) {
            Ok(0) | Err(Errno::INTR) => return Ok(None),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let [epoll::Event { flags, data }] = event;
        let readable = EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        Ok(Some(Ready {
            key: data.u64(),
            readable: flags.intersects(readable),
            writable: flags.contains(EventFlags::OUT),
        }))
    }
}

impl Interest {
    fn flags(self) -> EventFlags {
        let readable = EventFlags::IN | EventFlags::RDHUP;
        match self {
            Self::Readable => readable | EventFlags::ET,
            Self::OnceReadable => readable | EventFlags::ONESHOT,
            Self::OnceChanged => EventFlags::PRI | EventFlags::ONESHOT,
            Self::OnceBoth => readable | EventFlags::OUT | EventFlags::ONESHOT,
        }
    }
}

/// Readable from a point in time on: a
/// [timerfd](https://man7.org/linux/man-pages/man2/timerfd_create.2.html) for a [`Poller`].
#[derive(Debug)]
pub struct Alarm(OwnedFd);

impl Alarm {
    /// An alarm that isn't set.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self(rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?))
    }

    /// Sets the alarm to another time, or to none.
    ///
    /// # Errors
    /// Those of `timerfd_settime(2)`.
    pub fn set(&self, time: Option<Instant>) -> io::Result<()> {
        let left = time.map(|time| time.saturating_duration_since(Instant::now()));
        let it_value = match left {
            None => Timespec { tv_sec: 0, tv_nsec: 0 },
            // Zero would mean never.
            Some(left) => Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()).max(1),
            },
        };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let time = Itimerspec { it_interval, it_value };
        rustix::time::timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &time)?;
        Ok(())
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Event;

    #[test]
    fn what_is_ready_has_its_key() {
        let poller = Poller::new().unwrap();
        let (a, b) = (Event::new().unwrap(), Event::new().unwrap());
        poller.add(&a, 1, Interest::Readable).unwrap();
        poller.add(&b, 2, Interest::OnceReadable).unwrap();
        assert!(poller.look().unwrap().is_none());
        b.set().unwrap();
        assert_eq!(poller.wait().unwrap().key, 2);
        a.set().unwrap();
        assert_eq!(poller.wait().unwrap().key, 1);
        poller.change(&b, 3, Interest::OnceReadable).unwrap();
        assert_eq!(poller.look().unwrap().unwrap().key, 3);
    }

    #[test]
    fn an_alarm_rings_at_its_time_and_not_when_unset() {
        let poller = Poller::new().unwrap();
        let (early, unset) = (Alarm::new().unwrap(), Alarm::new().unwrap());
        poller.add(&unset, 1, Interest::Readable).unwrap();
        poller.add(&early, 2, Interest::Readable).unwrap();
        let time = Instant::now() + Duration::from_millis(5);
        unset.set(Some(time)).unwrap();
        unset.set(None).unwrap();
        early.set(Some(time)).unwrap();
        assert_eq!(poller.wait().unwrap().key, 2);
        assert!(Instant::now() >= time);
    }
}
