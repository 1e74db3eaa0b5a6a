//! Waiting for many descriptors at once, by any number of threads.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags};

use crate::Waitable;
use crate::system_call::failed;

/// A set of descriptors, each with a key: an
/// [epoll(7)](https://man7.org/linux/man-pages/man7/epoll.7.html).
#[derive(Debug)]
pub struct Poller(OwnedFd);

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// As long as something is there to read, or the other end is closed.
    WhileReadable,
    /// As long as that is so, or there is room to write.
    WhileBoth,
    /// Each time that something came to read, or the other end closed.
    EachReadable,
    /// Each time that this is so, or there came to be room to write; and once more if there is now.
    EachBoth,
    /// Once: the next time that something is there to read, or the other end closed.
    OnceReadable,
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

impl Ready {
    /// Something can be read.
    pub const fn to_read(key: u64) -> Self {
        Self { key, readable: true, writable: false }
    }
}

impl Poller {
    /// An empty set.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn new() -> io::Result<Self> {
        epoll::create(CreateFlags::CLOEXEC).map(Self).map_err(failed("epoll_create1"))
    }

    /// Adds a descriptor. It must be removed before it is closed.
    ///
    /// # Errors
    /// Those of [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html): no memory,
    /// or past the limit of watches (`fs.epoll.max_user_watches`).
    pub fn add(&self, handle: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        let added = epoll::add(&self.0, handle, EventData::new_u64(key), interest.flags());
        added.map_err(failed("epoll_ctl"))
    }

    /// Waits for something else from a descriptor that was added, or once more.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    pub fn change(&self, handle: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        let changed = epoll::modify(&self.0, handle, EventData::new_u64(key), interest.flags());
        changed.map_err(failed("epoll_ctl"))
    }

    /// Removes a descriptor.
    pub fn remove(&self, handle: impl AsFd) {
        // It fails only for one that isn't there.
        let _ = epoll::delete(&self.0, handle);
    }

    /// Waits until something is ready, for as long as it takes, and appends what is: no more than
    /// there is room for in `ready`, or one where there is none.
    ///
    /// # Errors
    /// Those of [`epoll_wait(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html); a signal
    /// is none.
    pub fn wait(&self, ready: &mut Vec<Ready>) -> io::Result<()> {
        loop {
            if self.wait_within(ready, None)? > 0 {
                return Ok(());
            }
        }
    }

    /// Appends what is ready now, as [`Poller::wait`] does, and says how many that were; doesn't
    /// wait.
    ///
    /// # Errors
    /// Those of `epoll_wait(2)`; a signal is none.
    pub fn look(&self, ready: &mut Vec<Ready>) -> io::Result<usize> {
        self.wait_within(ready, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))
    }

    /// Waits until something is ready, as [`Poller::wait`] does, or `object` is, which needn't be
    /// added for that; says whether that one may be taken now.
    ///
    /// # Errors
    /// Those of `epoll_wait(2)` and [`poll(2)`](https://man7.org/linux/man-pages/man2/poll.2.html); a
    /// signal is none.
    pub fn wait_beside(&self, object: &dyn Waitable, ready: &mut Vec<Ready>) -> io::Result<bool> {
        loop {
            if let Some(waited) = self.poll_beside(object, ready, None)? {
                return Ok(waited);
            }
        }
    }

    /// Looks what is ready now, as [`Poller::wait_beside`] does: `None` if nothing is.
    ///
    /// # Errors
    /// Those of [`Poller::wait_beside`].
    pub fn look_beside(
        &self,
        object: &dyn Waitable,
        ready: &mut Vec<Ready>,
    ) -> io::Result<Option<bool>> {
        self.poll_beside(object, ready, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))
    }

    fn poll_beside(
        &self,
        object: &dyn Waitable,
        ready: &mut Vec<Ready>,
        time: Option<&Timespec>,
    ) -> io::Result<Option<bool>> {
        // A poller is itself a descriptor that becomes readable.
        let mut polls = [PollFd::new(&self.0, PollFlags::IN), object.poll_fd()];
        match rustix::event::poll(&mut polls, time) {
            Ok(0) | Err(Errno::INTR) => return Ok(None),
            polled => polled?,
        };
        let [poller, object] = polls.map(|polled| !polled.revents().is_empty());
        if poller && self.look(ready)? == 0 && !object {
            // Another thread of whoever was ready was quicker.
            return Ok(None);
        }
        Ok(Some(object))
    }

    fn wait_within(&self, ready: &mut Vec<Ready>, time: Option<&Timespec>) -> io::Result<usize> {
        let empty = epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        let mut events = [empty; AT_ONCE];
        let room = (ready.capacity() - ready.len()).clamp(1, AT_ONCE);
        let count = match epoll::wait(&self.0, &mut events[..room], time) {
            Err(Errno::INTR) => 0,
            count => count?,
        };
        ready.extend(events[..count].iter().map(|event| {
            // In two steps: its fields lie as the kernel has them, which isn't aligned.
            let (flags, data) = (event.flags, event.data);
            Ready {
                key: data.u64(),
                readable: flags.intersects(READABLE),
                writable: flags.contains(EventFlags::OUT),
            }
        }));
        Ok(count)
    }
}

/// Something can be read, or the other end closed.
const READABLE: EventFlags =
    EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::HUP).union(EventFlags::ERR);

/// What one system call returns at the most.
const AT_ONCE: usize = 32;

impl Interest {
    fn flags(self) -> EventFlags {
        let readable = EventFlags::IN | EventFlags::RDHUP;
        match self {
            Self::WhileReadable => readable,
            Self::WhileBoth => readable | EventFlags::OUT,
            Self::EachReadable => readable | EventFlags::ET,
            Self::EachBoth => readable | EventFlags::OUT | EventFlags::ET,
            Self::OnceReadable => readable | EventFlags::ONESHOT,
            Self::OnceChanged => EventFlags::PRI | EventFlags::ONESHOT,
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
        let made = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags);
        made.map(Self).map_err(failed("timerfd_create"))
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

    fn keys(ready: &[Ready]) -> Vec<u64> {
        ready.iter().map(|ready| ready.key).collect()
    }

    fn look(poller: &Poller) -> Vec<u64> {
        let mut ready = Vec::with_capacity(8);
        assert_eq!(poller.look(&mut ready).unwrap(), ready.len());
        keys(&ready)
    }

    #[test]
    fn what_is_ready_has_its_key() {
        let poller = Poller::new().unwrap();
        let (a, b) = (Event::new().unwrap(), Event::new().unwrap());
        poller.add(&a, 1, Interest::EachReadable).unwrap();
        poller.add(&b, 2, Interest::OnceReadable).unwrap();
        assert_eq!(look(&poller), []);
        b.set().unwrap();
        let mut ready = Vec::new();
        poller.wait(&mut ready).unwrap();
        assert_eq!(keys(&ready), [2]);
        a.set().unwrap();
        poller.wait(&mut ready).unwrap();
        assert_eq!(keys(&ready), [2, 1]);
        assert_eq!(look(&poller), []);
        poller.change(&b, 3, Interest::OnceReadable).unwrap();
        assert_eq!(look(&poller), [3]);
    }

    #[test]
    fn what_stays_ready_is_told_again() {
        let poller = Poller::new().unwrap();
        let event = Event::new().unwrap();
        poller.add(&event, 1, Interest::WhileReadable).unwrap();
        event.set().unwrap();
        assert_eq!(look(&poller), [1]);
        assert_eq!(look(&poller), [1]);
        assert!(event.poll().unwrap());
        assert_eq!(look(&poller), []);
        poller.change(&event, 1, Interest::WhileBoth).unwrap();
        let mut ready = Vec::new();
        poller.look(&mut ready).unwrap();
        assert!(ready[0].writable && !ready[0].readable);
    }

    #[test]
    fn what_has_room_tells_it_once_each_time_that_it_is_asked_for() {
        let poller = Poller::new().unwrap();
        let event = Event::new().unwrap();
        poller.add(&event, 1, Interest::EachReadable).unwrap();
        for _ in 0..2 {
            poller.change(&event, 1, Interest::EachBoth).unwrap();
            assert_eq!(look(&poller), [1]);
            assert_eq!(look(&poller), []);
        }
        event.set().unwrap();
        assert_eq!(look(&poller), [1]);
    }

    #[test]
    fn an_object_is_waited_for_beside_what_was_added() {
        let poller = Poller::new().unwrap();
        let (added, beside) = (Event::new().unwrap(), Event::new().unwrap());
        poller.add(&added, 1, Interest::EachReadable).unwrap();
        let mut ready = Vec::new();
        assert_eq!(poller.look_beside(&beside, &mut ready).unwrap(), None);
        added.set().unwrap();
        assert!(!poller.wait_beside(&beside, &mut ready).unwrap());
        assert_eq!(keys(&ready), [1]);
        beside.set().unwrap();
        assert!(poller.wait_beside(&beside, &mut ready).unwrap());
        assert!(beside.poll().unwrap());
        added.set().unwrap();
        beside.set().unwrap();
        assert_eq!(poller.look_beside(&beside, &mut ready).unwrap(), Some(true));
        assert_eq!(keys(&ready), [1, 1]);
    }

    #[test]
    fn no_more_is_told_than_there_is_room_for() {
        let poller = Poller::new().unwrap();
        let events: Vec<_> = (0..5).map(|_| Event::new().unwrap()).collect();
        for (key, event) in (0..).zip(&events) {
            poller.add(event, key, Interest::EachReadable).unwrap();
            event.set().unwrap();
        }
        let mut ready = Vec::with_capacity(3);
        poller.wait(&mut ready).unwrap();
        assert_eq!(ready.len(), 3);
        assert_eq!(look(&poller).len(), 2);
    }

    #[test]
    fn an_alarm_rings_at_its_time_and_not_when_unset() {
        let poller = Poller::new().unwrap();
        let (early, unset) = (Alarm::new().unwrap(), Alarm::new().unwrap());
        poller.add(&unset, 1, Interest::EachReadable).unwrap();
        poller.add(&early, 2, Interest::EachReadable).unwrap();
        let time = Instant::now() + Duration::from_millis(5);
        unset.set(Some(time)).unwrap();
        unset.set(None).unwrap();
        early.set(Some(time)).unwrap();
        let mut ready = Vec::new();
        poller.wait(&mut ready).unwrap();
        assert_eq!(keys(&ready), [2]);
        assert!(Instant::now() >= time);
    }
}
