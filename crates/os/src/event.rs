//! Events, which wake the threads and processes that wait for them.
//!
//! | | |
//! |---|---|
//! | object | an [eventfd(2)](https://man7.org/linux/man-pages/man2/eventfd.2.html) whose count is zero (unset) or positive (set) |
//! | proof | an inode without a type, and `/proc/self/fdinfo` has `eventfd-count` |
//! | rights | `signal` and `wait`: advisory. Each holder of an eventfd can do both |
//! | mode | part of the type, and so of the interface, because an eventfd has no such mode: [`Event`] resets itself when one wait succeeds, [`ManualEvent`] stays set |
//! | `try_clone` | the same event |
//! | Windows | an event HANDLE, `sh_event` |
//!
//! A holder can fill the count, take it, and switch the event to blocking, at any time. Neither
//! `set` nor a wait with a timeout is blocked by that: `set` makes the kernel signal the event
//! (`io_submit(2)` with `IOCB_FLAG_RESFD`) instead of writing to it, and waits read with
//! `RWF_NOWAIT`. A process that serves no peers ([`prepare_to_serve`](crate::prepare_to_serve)), or
//! that may not use `io_setup(2)`, writes instead. In such a process, `set` blocks if a holder
//! switches the event to blocking and fills it during the call.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::EventfdFlags;

use crate::handle::impl_handle;
use crate::sys::counter;
use crate::system_call::{DUPLICATE, failed};
use crate::wait::{Waitable, wait_any};
use crate::{Declared, Kind};

/// An event that resets itself: each `set` lets at most one wait through.
#[derive(Debug)]
pub struct Event(OwnedFd);

/// An event that stays set until it is reset: `set` lets every wait through.
#[derive(Debug)]
pub struct ManualEvent(OwnedFd);

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
            /// Returns the errors of `eventfd(2)`, for example if no descriptor is left.
            pub fn new() -> io::Result<Self> {
                let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
                rustix::event::eventfd(0, flags).map(Self).map_err(failed("eventfd2"))
            }

            /// Sets the event. Setting a set event changes nothing, even if a holder has filled its
            /// count. Other holders can't block this call, with the exceptions that the module
            /// documents.
            ///
            /// # Errors
            /// Returns the errors of `write(2)` on an eventfd; a full count is not an error.
            pub fn set(&self) -> io::Result<()> {
                counter::add(self.as_fd(), 1).map(drop)
            }

            /// Sets an event that no other process holds. Takes less time than [`set`](Self::set).
            ///
            /// # Errors
            /// Returns the errors of [`set`](Self::set).
            #[doc(hidden)]
            pub fn set_unshared(&self) -> io::Result<()> {
                counter::write(self.as_fd(), 1).map(drop)
            }

            /// Unsets the event.
            ///
            /// # Errors
            /// Returns the errors of `read(2)` on an eventfd; an unset event is not an error.
            pub fn reset(&self) -> io::Result<()> {
                counter::take(self.as_fd()).map(drop)
            }

            /// Waits until the event is set, without a time limit.
            ///
            /// # Errors
            /// Returns the errors of `poll(2)` and `read(2)`.
            pub fn wait(&self) -> io::Result<()> {
                wait_any(&[self], None).map(drop)
            }

            /// Waits until the event is set, but at most `timeout`; returns whether it was set.
            ///
            /// # Errors
            /// Returns the errors of `poll(2)` and `read(2)`.
            pub fn wait_timeout(&self, timeout: Duration) -> io::Result<bool> {
                Ok(wait_any(&[self], Some(timeout))?.is_some())
            }

            /// Returns a second handle to the same event.
            ///
            /// # Errors
            /// Fails if no descriptor is left.
            pub fn try_clone(&self) -> io::Result<Self> {
                self.0.try_clone().map(Self).map_err(failed(DUPLICATE))
            }
        }

        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl From<OwnedFd> for $type {
            fn from(fd: OwnedFd) -> Self {
                Self(fd)
            }
        }

        impl From<$type> for OwnedFd {
            fn from(event: $type) -> Self {
                event.0
            }
        }
    };
}
impl_event!(Event);
impl_event!(ManualEvent);

impl Event {
    /// Takes the event if it is set, and returns whether it was. Never blocks.
    ///
    /// # Errors
    /// Returns the errors of `read(2)` on an eventfd.
    pub fn poll(&self) -> io::Result<bool> {
        counter::take(self.as_fd())
    }
}

impl ManualEvent {
    /// Returns whether the event is set. Never blocks.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)`.
    pub fn poll(&self) -> io::Result<bool> {
        self.wait_timeout(Duration::ZERO)
    }
}

impl Waitable for Event {
    fn handle(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// If several threads wait, the one that takes the count gets the event.
    fn take(&self) -> io::Result<bool> {
        counter::take(self.as_fd())
    }

    fn take_finds_out(&self) -> bool {
        true
    }
}

impl Waitable for ManualEvent {
    fn handle(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn take(&self) -> io::Result<bool> {
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::OFlags;

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
        // Switching the event to nonblocking and resetting it ends a blocked thread before the
        // assertion fails.
        event.reset().unwrap();
        assert_eq!(result, Ok(true));
    }

    #[test]
    fn a_wait_keeps_its_deadline_while_a_holder_takes_what_it_sees() {
        let blocking = Event::from(rustix::event::eventfd(0, EventfdFlags::empty()).unwrap());
        let is_over = std::sync::atomic::AtomicBool::new(false);
        let order = std::sync::atomic::Ordering::Relaxed;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(order) {
                    blocking.set().unwrap();
                    blocking.reset().unwrap();
                }
            });
            let begin = std::time::Instant::now();
            for _ in 0..1000 {
                blocking.wait_timeout(Duration::from_micros(100)).unwrap();
                blocking.poll().unwrap();
            }
            is_over.store(true, order);
            assert!(begin.elapsed() < Duration::from_secs(30));
        });
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
