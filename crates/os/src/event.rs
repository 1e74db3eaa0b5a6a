//! Events, which wake the threads and processes that wait for them.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | an [eventfd(2)](https://man7.org/linux/man-pages/man2/eventfd.2.html) whose count is zero (unset) or positive (set) | an [event](https://learn.microsoft.com/windows/win32/sync/event-objects) |
//! | proof | `statx` shows an inode without a type, and `/proc/self/fdinfo` has `eventfd-count` | the object's type is `Event` |
//! | rights | `signal` and `wait`: advisory. Any holder of an eventfd can do both | `signal` (`EVENT_MODIFY_STATE`) and `wait` (`SYNCHRONIZE`): enforced by the kernel on the handle |
//! | `try_clone` | the same event | the same event |
//! | MIDL | | `sh_event` |
//!
//! The reset mode is part of the type, and thus of the interface: a successful wait resets an
//! [`Event`], while a [`ManualEvent`] stays set. An eventfd has no reset mode, and the mode of a
//! received Windows event can't be checked.
//!
//! On Linux, any holder can fill the event's counter, empty it, and switch the event to blocking
//! mode, at any time. None of these blocks `set` or a wait with a timeout: `set` makes the kernel
//! signal the event (`io_submit(2)` with `IOCB_FLAG_RESFD`) instead of writing to it, and waits
//! read with `RWF_NOWAIT`. There is one exception: a process that does not serve peers
//! ([`prepare_to_serve`](crate::prepare_to_serve)), or that may not call `io_setup(2)`, writes to
//! the event. There, `set` blocks if a holder switches the event to blocking mode and fills the
//! counter during the call.

use std::io;

use crate::owned::impl_owned;
use crate::wait::impl_wait;
use crate::{BorrowedHandle, Declaration, Handle, Kind, OwnedHandle, Waitable, sys, try_take};

/// An event that resets itself (auto-reset): each `set` releases at most one waiter.
#[derive(Debug)]
pub struct Event(OwnedHandle);

/// An event that stays set until it is reset (manual-reset): while it is set, all waits succeed.
#[derive(Debug)]
pub struct ManualEvent(OwnedHandle);

macro_rules! impl_event {
    ($type:ident, $is_manual:literal) => {
        impl $type {
            /// Creates an unnamed event that is not set.
            ///
            /// # Errors
            /// Returns the errors of `eventfd(2)` on Linux, for example if this process can't open
            /// more file descriptors, and of `CreateEvent` on Windows.
            pub fn new() -> io::Result<Self> {
                sys::event::create($is_manual).map(Self)
            }

            /// Sets the event. Has no effect if it is already set. On Linux, other holders can't
            /// block this call, even by filling the counter, with the exception that the
            /// module documentation describes.
            ///
            /// # Errors
            /// On Linux, returns the errors of `write(2)` on an eventfd, except for a full counter.
            /// On Windows, returns the errors of `SetEvent`, for example if the handle lacks the
            /// right.
            pub fn set(&self) -> io::Result<()> {
                sys::event::set(self.as_handle())
            }

            /// Linux only: sets an event that no other process holds. Faster than
            /// [`set`](Self::set).
            ///
            /// # Errors
            /// Returns the errors of [`set`](Self::set).
            #[cfg(not(windows))]
            #[doc(hidden)]
            pub fn set_unshared(&self) -> io::Result<()> {
                sys::event::set_unshared(self.as_handle())
            }

            /// Resets the event to unset. Has no effect if it is already unset.
            ///
            /// # Errors
            /// Returns the errors of `read(2)` on an eventfd, and of `ResetEvent` on Windows, for
            /// example if the handle lacks the right.
            pub fn reset(&self) -> io::Result<()> {
                sys::event::reset(self.as_handle())
            }
        }

        impl_owned!($type, "event", Declaration::kind(Kind::Event));
        impl_wait!($type, "the event is set");
    };
}
impl_event!(Event, false);
impl_event!(ManualEvent, true);

impl Event {
    /// Takes the event if it is set, which resets it. Returns whether it was set. Never blocks.
    ///
    /// # Errors
    /// Returns the errors of [`wait`](Self::wait).
    pub fn poll(&self) -> io::Result<bool> {
        try_take(self)
    }
}

impl ManualEvent {
    /// Returns whether the event is set. Never blocks.
    ///
    /// # Errors
    /// Returns the errors of [`wait`](Self::wait).
    pub fn poll(&self) -> io::Result<bool> {
        try_take(self)
    }

    /// Windows only: returns a second handle to the same event that only permits waiting.
    ///
    /// # Errors
    /// Returns the errors of `DuplicateHandle`.
    #[cfg(windows)]
    #[doc(hidden)]
    pub fn try_clone_to_wait(&self) -> io::Result<Self> {
        sys::event::to_wait(self.as_handle()).map(Self)
    }
}

impl Waitable for Event {
    fn handle(&self) -> BorrowedHandle<'_> {
        self.as_handle()
    }

    /// If several threads wait, the thread that reads the counter first takes the event.
    #[cfg(not(windows))]
    fn take(&self) -> io::Result<bool> {
        sys::counter::take(self.as_handle())
    }

    #[cfg(not(windows))]
    fn take_finds_out(&self) -> bool {
        true
    }
}

impl Waitable for ManualEvent {
    fn handle(&self) -> BorrowedHandle<'_> {
        self.as_handle()
    }

    #[cfg(not(windows))]
    fn take(&self) -> io::Result<bool> {
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
    fn an_event_set_in_another_thread_ends_the_wait() {
        let event = Event::new().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| event.set().unwrap());
            event.wait().unwrap();
        });
    }
}
