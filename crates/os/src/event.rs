//! Events: something happened, for whoever waits.
//!
//! | | |
//! |---|---|
//! | object | an [eventfd(2)](https://man7.org/linux/man-pages/man2/eventfd.2.html) whose count is zero (unset) or not (set) |
//! | proof | an inode without a type, and `/proc/self/fdinfo` says `eventfd-count` |
//! | rights | `signal` and `wait`: advisory. Whoever holds an eventfd can do both |
//! | mode | part of the type, and so of the interface, because an eventfd doesn't carry it: [`Event`] resets itself when one wait succeeds, [`ManualEvent`] stays set |
//! | `try_clone` | the same event |
//! | Windows | an event HANDLE, `sh_event` |
//!
//! A holder can fill the count so that another `write` would block. `set` doesn't: events are made
//! not to block, an event that arrived is switched when it is first set, and a full count is a set
//! event, to which nothing is written. But all holders share the flag, and a hostile holder can switch
//! it back. If it also fills the count between the check and the write of a `set`, that `set` waits
//! until the event is reset. Waiting isn't exposed to this, because a read can refuse to wait.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags};

use crate::handle::impl_handle;
use crate::wait::{Waitable, wait_any};
use crate::{Declared, Kind};

/// An event that resets itself: each `set` lets at most one wait through.
#[derive(Debug)]
pub struct Event(Eventfd);

/// An event that stays set until it is reset: `set` lets every wait through.
#[derive(Debug)]
pub struct ManualEvent(Eventfd);

/// An eventfd, and whether it is known not to block: to find that out, or to switch it, takes the
/// kernel as long as setting it, and most that arrive are only waited for.
#[derive(Debug)]
struct Eventfd {
    fd: OwnedFd,
    switched: AtomicBool,
}

impl_handle!(
    Event => Declared::kind(Kind::Event),
    ManualEvent => Declared::kind(Kind::Event),
);

macro_rules! impl_event {
    ($type:ident) => {
        impl $type {
            /// Makes an event that is not set.
            ///
            /// # Errors
            /// Those of `eventfd(2)`: no descriptor left.
            pub fn new() -> io::Result<Self> {
                let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
                let fd = rustix::event::eventfd(0, flags)?;
                Ok(Self(Eventfd { fd, switched: AtomicBool::new(true) }))
            }

            /// Sets the event. Setting a set event changes nothing, also if a holder has filled its
            /// count. Doesn't block, unless a hostile holder has switched the event to blocking and
            /// fills it during this very call.
            ///
            /// # Errors
            /// Those of `write(2)` on an eventfd; a full count is none.
            pub fn set(&self) -> io::Result<()> {
                self.0.add_one()
            }

            /// Unsets the event.
            ///
            /// # Errors
            /// Those of `read(2)` on an eventfd; an unset event is none.
            pub fn reset(&self) -> io::Result<()> {
                self.0.take().map(drop)
            }

            /// Waits until the event is set, for as long as it takes.
            ///
            /// # Errors
            /// Those of `poll(2)` and `read(2)`.
            pub fn wait(&self) -> io::Result<()> {
                wait_any(&[self], None).map(drop)
            }

            /// Waits until the event is set, but not longer than `timeout`; says whether it was.
            ///
            /// # Errors
            /// Those of `poll(2)` and `read(2)`.
            pub fn wait_timeout(&self, timeout: Duration) -> io::Result<bool> {
                Ok(wait_any(&[self], Some(timeout))?.is_some())
            }

            /// A second handle to the same event.
            ///
            /// # Errors
            /// No descriptor left.
            pub fn try_clone(&self) -> io::Result<Self> {
                let switched = self.0.switched.load(Ordering::Relaxed).into();
                Ok(Self(Eventfd { fd: self.0.fd.try_clone()?, switched }))
            }
        }

        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.fd.as_fd()
            }
        }

        /// Takes an eventfd. It is switched to not blocking, for all who hold it, when it is set.
        impl From<OwnedFd> for $type {
            fn from(fd: OwnedFd) -> Self {
                Self(Eventfd { fd, switched: AtomicBool::new(false) })
            }
        }

        impl From<$type> for OwnedFd {
            fn from(event: $type) -> Self {
                event.0.fd
            }
        }
    };
}
impl_event!(Event);
impl_event!(ManualEvent);

impl Event {
    /// Takes the event if it is set; says whether it was. Never blocks.
    ///
    /// # Errors
    /// Those of `read(2)` on an eventfd.
    pub fn poll(&self) -> io::Result<bool> {
        self.0.take()
    }
}

impl ManualEvent {
    /// Says whether the event is set. Never blocks.
    ///
    /// # Errors
    /// Those of `poll(2)`.
    pub fn poll(&self) -> io::Result<bool> {
        self.wait_timeout(Duration::ZERO)
    }
}

impl Waitable for Event {
    fn handle(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }

    /// Of several waiters, the one that takes the count has the event.
    fn take(&self) -> io::Result<bool> {
        self.0.take()
    }

    fn take_finds_out(&self) -> bool {
        true
    }
}

impl Waitable for ManualEvent {
    fn handle(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }

    fn take(&self) -> io::Result<bool> {
        Ok(true)
    }
}

impl Eventfd {
    /// Adds one to the count, without waiting for room.
    fn add_one(&self) -> io::Result<()> {
        if !self.switched.load(Ordering::Relaxed) {
            // It fails for no eventfd; and for what isn't one, nothing here promises anything.
            let _ = rustix::fs::fcntl_setfl(&self.fd, OFlags::RDWR | OFlags::NONBLOCK);
            self.switched.store(true, Ordering::Relaxed);
        }
        // A holder may have filled the count and switched the event to blocking again.
        if !self.has_room()? {
            return Ok(());
        }
        loop {
            match rustix::io::write(&self.fd, &1_u64.to_ne_bytes()) {
                Ok(_) | Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether one more can be added to the count.
    fn has_room(&self) -> io::Result<bool> {
        let mut polls = [PollFd::new(&self.fd, PollFlags::OUT)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut polls, Some(&now)))?;
        Ok(polls[0].revents().contains(PollFlags::OUT))
    }

    /// Takes the whole count; says whether there was one.
    fn take(&self) -> io::Result<bool> {
        loop {
            let mut count = [0; 8];
            let buffers = &mut [IoSliceMut::new(&mut count)];
            // NOWAIT: a holder who isn't trusted may have switched the event to blocking.
            match rustix::io::preadv2(&self.fd, buffers, CURRENT, ReadWriteFlags::NOWAIT) {
                Ok(_) => return Ok(true),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The offset that stands for none, to `preadv2`.
const CURRENT: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Object, identify};

    #[test]
    fn an_event_lets_one_wait_through() {
        let event = Event::new().unwrap();
        assert!(!event.poll().unwrap());
        event.set().unwrap();
        event.set().unwrap();
        assert!(event.wait_timeout(Duration::from_secs(5)).unwrap());
        assert!(!event.wait_timeout(Duration::from_millis(1)).unwrap());
    }

    #[test]
    fn a_manual_event_stays_set_until_reset() {
        let event = ManualEvent::new().unwrap();
        event.set().unwrap();
        assert!(event.poll().unwrap() && event.poll().unwrap());
        event.wait().unwrap();
        event.reset().unwrap();
        assert!(!event.poll().unwrap());
    }

    #[test]
    fn setting_a_full_event_returns() {
        let event = Event::new().unwrap();
        rustix::io::write(&event, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        event.set().unwrap();
        assert!(event.poll().unwrap());
    }

    #[test]
    fn setting_an_event_that_a_holder_filled_and_made_blocking_returns() {
        let event = std::sync::Arc::new(Event::new().unwrap());
        event.set().unwrap();
        event.reset().unwrap();
        rustix::fs::fcntl_setfl(&*event, OFlags::RDWR).unwrap();
        rustix::io::write(&*event, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        let (done, is_done) = std::sync::mpsc::channel();
        let setter = event.clone();
        std::thread::spawn(move || done.send(setter.set().is_ok()));
        let result = is_done.recv_timeout(Duration::from_secs(20));
        // A blocked thread ends before the assertion fails.
        event.reset().unwrap();
        assert_eq!(result, Ok(true));
    }

    #[test]
    fn an_event_that_arrives_blocking_is_polled_without_blocking() {
        let blocking = rustix::event::eventfd(0, EventfdFlags::empty()).unwrap();
        let event = Event::from(blocking);
        assert!(!event.poll().unwrap());
        rustix::io::write(&event, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        event.set().unwrap();
    }

    #[test]
    fn the_kernel_tells_an_event_from_a_semaphore() {
        let event = Event::new().unwrap();
        assert_eq!(identify(event.as_fd()).unwrap().object, Object::Eventfd);
        let semaphore = rustix::event::eventfd(0, EventfdFlags::SEMAPHORE).unwrap();
        assert_eq!(identify(semaphore.as_fd()).unwrap().object, Object::EventfdSemaphore);
    }

    #[test]
    fn an_event_set_in_another_thread_ends_the_wait() {
        let event = Event::new().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| event.set().unwrap());
            event.wait().unwrap();
        });
    }
}
