//! Waits for many descriptors at once, on any number of threads.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags};

use crate::system_call::failed;

/// A set of descriptors, each with a key, that threads can wait for. Uses
/// [epoll(7)](https://man7.org/linux/man-pages/man7/epoll.7.html).
#[derive(Debug)]
pub struct Poller(OwnedFd);

/// The condition under which a descriptor is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// While data can be read or the other end is closed (level-triggered).
    WhileReadable,
    /// While data can be read or written, or the other end is closed (level-triggered).
    WhileBoth,
    /// Each time that data arrives or the other end closes (edge-triggered).
    EachReadable,
    /// Each time that data arrives, the other end closes, or room to write appears
    /// (edge-triggered). Also once after it is added, if there is room to write.
    EachBoth,
    /// Once, when data can be read or the other end is closed (one-shot).
    OnceReadable,
    /// Once, when the content of the file has changed (one-shot).
    OnceChanged,
}

/// A descriptor that became ready.
#[derive(Clone, Copy, Debug)]
pub struct PollEvent {
    /// The key of the descriptor.
    pub key: u64,
    /// Whether data can be read, or the other end is closed.
    pub readable: bool,
    /// Whether data can be written.
    pub writable: bool,
}

impl PollEvent {
    /// Creates an event for a readable descriptor.
    pub const fn to_read(key: u64) -> Self {
        Self { key, readable: true, writable: false }
    }
}

impl Poller {
    /// Creates an empty set.
    ///
    /// # Errors
    /// Fails if this process can't open more file descriptors.
    pub fn new() -> io::Result<Self> {
        epoll::create(CreateFlags::CLOEXEC).map(Self).map_err(failed("epoll_create1"))
    }

    /// Adds a descriptor. Remove it before you close it.
    ///
    /// # Errors
    /// Returns the errors of
    /// [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html), for example if no
    /// memory is available or the limit `fs.epoll.max_user_watches` is reached.
    pub fn add(&self, handle: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        let added = epoll::add(&self.0, handle, EventData::new_u64(key), interest.flags());
        added.map_err(failed("epoll_ctl"))
    }

    /// Changes the condition of a descriptor in the set, or rearms a one-shot condition.
    ///
    /// # Errors
    /// Returns the errors of `epoll_ctl(2)`.
    pub fn change(&self, handle: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        let changed = epoll::modify(&self.0, handle, EventData::new_u64(key), interest.flags());
        changed.map_err(failed("epoll_ctl"))
    }

    /// Removes a descriptor from the set.
    pub fn remove(&self, handle: impl AsFd) {
        // This fails only if the descriptor is not in the set.
        let _ = epoll::delete(&self.0, handle);
    }

    /// Waits until a descriptor is ready, without a time limit, and appends the ready descriptors.
    /// Appends at most as many as the free capacity of `ready`, but at least one.
    ///
    /// # Errors
    /// Returns the errors of
    /// [`epoll_wait(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html), except for
    /// `EINTR`.
    pub fn wait(&self, ready: &mut Vec<PollEvent>) -> io::Result<()> {
        loop {
            if self.wait_within(ready, None)? > 0 {
                return Ok(());
            }
        }
    }

    /// Appends the descriptors that are ready now, as [`Poller::wait`] does, and returns their
    /// number. Does not wait.
    ///
    /// # Errors
    /// Returns the errors of `epoll_wait(2)`, except for `EINTR`.
    pub fn look(&self, ready: &mut Vec<PollEvent>) -> io::Result<usize> {
        self.wait_within(ready, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))
    }

    fn wait_within(
        &self,
        ready: &mut Vec<PollEvent>,
        time: Option<&Timespec>,
    ) -> io::Result<usize> {
        let empty = epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        let mut events = [empty; AT_ONCE];
        let room = (ready.capacity() - ready.len()).clamp(1, AT_ONCE);
        let count = match epoll::wait(&self.0, &mut events[..room], time) {
            Err(Errno::INTR) => 0,
            count => count?,
        };
        ready.extend(events[..count].iter().map(|event| {
            // Copies the fields, because the kernel's struct is packed and they may be unaligned.
            let (flags, data) = (event.flags, event.data);
            PollEvent {
                key: data.u64(),
                readable: flags.intersects(READABLE),
                writable: flags.contains(EventFlags::OUT),
            }
        }));
        Ok(count)
    }
}

/// The epoll flags that mean "data can be read" or "the other end is closed".
const READABLE: EventFlags =
    EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::HUP).union(EventFlags::ERR);

/// Maximum number of descriptors that one system call returns.
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

/// The descriptor is readable while a descriptor in the set is ready.
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A [timerfd](https://man7.org/linux/man-pages/man2/timerfd_create.2.html) for a [`Poller`], which
/// becomes readable at a given time.
#[derive(Debug)]
pub struct Alarm(OwnedFd);

impl Alarm {
    /// Creates an alarm that isn't set.
    ///
    /// # Errors
    /// Fails if this process can't open more file descriptors.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let made = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags);
        made.map(Self).map_err(failed("timerfd_create"))
    }

    /// Sets the alarm to this time, or cancels it if `None`.
    ///
    /// # Errors
    /// Returns the errors of `timerfd_settime(2)`.
    pub fn set(&self, time: Option<Instant>) -> io::Result<()> {
        let left = time.map(|time| time.saturating_duration_since(Instant::now()));
        let it_value = match left {
            None => Timespec { tv_sec: 0, tv_nsec: 0 },
            // A duration of zero would cancel the alarm.
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
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Event;

    fn keys(ready: &[PollEvent]) -> Vec<u64> {
        ready.iter().map(|ready| ready.key).collect()
    }

    fn look(poller: &Poller) -> Vec<u64> {
        let mut ready = Vec::with_capacity(8);
        assert_eq!(poller.look(&mut ready).unwrap(), ready.len());
        keys(&ready)
    }

    #[test]
    fn a_ready_source_is_reported_with_its_key() {
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
    fn a_source_that_stays_ready_is_reported_again() {
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
    fn write_readiness_is_reported_once_per_request() {
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
