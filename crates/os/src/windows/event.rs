//! Events, which wake the threads and processes that wait for them.
//!
//! | | |
//! |---|---|
//! | object | an [event](https://learn.microsoft.com/windows/win32/sync/event-objects) |
//! | proof | the object's type is `Event` |
//! | rights | `signal` (`EVENT_MODIFY_STATE`) and `wait` (`SYNCHRONIZE`): enforced by the kernel on the handle |
//! | mode | part of the type, as on Linux: [`Event`] resets itself when one wait succeeds, [`ManualEvent`] stays set. The mode of a received event can't be checked |
//! | `try_clone` | the same event |
//! | MIDL | `sh_event` |

use std::io;
use std::os::windows::io::AsHandle;
use std::time::Duration;

use super::handle::impl_owned;
use super::wait::{Waitable, wait_any};
use crate::sys::{event, wait};
use crate::{BorrowedHandle, Declared, Kind, OwnedHandle};

/// An event that resets itself: each `set` lets at most one wait through.
#[derive(Debug)]
pub struct Event(OwnedHandle);

/// An event that stays set until it is reset: `set` lets every wait through.
#[derive(Debug)]
pub struct ManualEvent(OwnedHandle);

macro_rules! impl_event {
    ($type:ident, $manual:literal) => {
        impl $type {
            /// Makes an event that is not set, without a name.
            ///
            /// # Errors
            /// Returns the errors of `CreateEvent`.
            pub fn new() -> io::Result<Self> {
                Ok(Self(event::create($manual)?))
            }

            /// Sets the event. Setting a set event changes nothing.
            ///
            /// # Errors
            /// Returns the errors of `SetEvent`, for example if the handle lacks the right.
            pub fn set(&self) -> io::Result<()> {
                event::set(self.0.as_handle())
            }

            /// Unsets the event.
            ///
            /// # Errors
            /// Returns the errors of `ResetEvent`, for example if the handle lacks the right.
            pub fn reset(&self) -> io::Result<()> {
                event::reset(self.0.as_handle())
            }

            /// Waits until the event is set, without a time limit.
            ///
            /// # Errors
            /// Returns the errors of `WaitForSingleObject`.
            pub fn wait(&self) -> io::Result<()> {
                wait_any(&[self], None).map(drop)
            }

            /// Waits until the event is set, but at most `timeout`; returns whether it was set.
            ///
            /// # Errors
            /// Returns the errors of `WaitForSingleObject`.
            pub fn wait_timeout(&self, timeout: Duration) -> io::Result<bool> {
                Ok(wait_any(&[self], Some(timeout))?.is_some())
            }

            /// Returns whether the event is set, and takes an event that resets itself. Never
            /// blocks.
            ///
            /// # Errors
            /// Returns the errors of `WaitForSingleObject`.
            pub fn poll(&self) -> io::Result<bool> {
                wait::is_signalled(self.0.as_handle())
            }
        }

        impl_owned!($type, "event", Declared::kind(Kind::Event));

        impl Waitable for $type {
            fn handle(&self) -> BorrowedHandle<'_> {
                self.0.as_handle()
            }
        }
    };
}
impl_event!(Event, false);
impl_event!(ManualEvent, true);

impl ManualEvent {
    /// Returns a second handle to the same event, which can only wait.
    ///
    /// # Errors
    /// Returns the errors of `DuplicateHandle`.
    pub fn try_clone_to_wait(&self) -> io::Result<Self> {
        Ok(Self(event::to_wait(self.0.as_handle())?))
    }
}

#[cfg(test)]
mod tests {
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
        event.reset().unwrap();
        assert!(!event.poll().unwrap());
    }
}
