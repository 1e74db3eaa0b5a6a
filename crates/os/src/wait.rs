//! Waits for one or several objects, with a timeout.

use std::io;
use std::time::{Duration, Instant};

use crate::{BorrowedHandle, sys};

/// An object that a thread can wait for.
///
/// If several threads wait for an object, for example an event that resets itself, only one may
/// take it. On Windows, the kernel takes the object for a waiter when the wait ends. On Linux, the
/// kernel only reports that the object's descriptor is readable, and then `take` takes the object.
/// So all methods except `handle` exist on Linux only.
pub trait Waitable {
    /// Returns the handle to wait for.
    fn handle(&self) -> BorrowedHandle<'_>;

    /// Linux only: takes the object after its descriptor became ready. Returns `false` if another
    /// waiter was faster. Never blocks.
    ///
    /// # Errors
    /// Returns the errors of the object.
    #[cfg(not(windows))]
    fn take(&self) -> io::Result<bool>;

    /// Linux only: returns how the kernel reports that the object is ready.
    #[cfg(not(windows))]
    fn readiness(&self) -> Readiness {
        Readiness::Readable
    }

    /// Linux only: returns whether [`Waitable::take`] itself detects an object that isn't ready, so
    /// that polling first is unnecessary.
    #[cfg(not(windows))]
    fn take_finds_out(&self) -> bool {
        false
    }

    /// Linux only: returns the argument of
    /// [`poll(2)`](https://man7.org/linux/man-pages/man2/poll.2.html) to query whether the object
    /// is ready.
    #[cfg(not(windows))]
    #[doc(hidden)]
    fn poll_fd(&self) -> rustix::event::PollFd<'_> {
        sys::wait::poll_fd(self.handle(), self.readiness())
    }
}

/// Linux only: how the kernel reports that an object's descriptor is ready.
#[cfg(not(windows))]
// Not `non_exhaustive`, because every event loop has to support all variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The descriptor is readable (`POLLIN`).
    Readable,
    /// The content of the file has changed since it was last read (`POLLPRI`). Call
    /// [`Waitable::take`] before the first wait, because the content may already be as expected.
    Changed,
}

/// Waits until one of the objects is ready, and takes it. If several are ready, takes the first of
/// them in the list.
///
/// Returns the index of the object, or `None` if `timeout` passes first. Without a timeout, waits
/// indefinitely.
///
/// # Errors
/// `InvalidInput` for an empty list without a timeout, because that wait would never end. On Linux,
/// also the errors of [`poll(2)`](https://man7.org/linux/man-pages/man2/poll.2.html) and of taking
/// the object. On Windows, also the errors of `WaitForMultipleObjects`, for example for a handle
/// without the right to wait, and `InvalidInput` for more than 64 objects.
pub fn wait_any(objects: &[&dyn Waitable], timeout: Option<Duration>) -> io::Result<Option<usize>> {
    if objects.is_empty() && timeout.is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is nothing to wait for"));
    }
    sys::wait::any(objects, timeout.and_then(deadline_after))
}

/// Takes an object if it is ready now. Returns whether it did. Never blocks.
///
/// # Errors
/// Returns the errors of [`wait_any`].
pub fn try_take(object: &dyn Waitable) -> io::Result<bool> {
    sys::wait::try_take(object)
}

/// Waits until all objects have been taken. Returns the indices of the objects that were not taken
/// before `timeout` passed, so an empty list means success. Without a timeout, waits indefinitely.
///
/// Takes each object as soon as it is ready, independently of the others. A taken object remains
/// taken after a timeout.
///
/// # Errors
/// Returns the errors of [`wait_any`].
pub fn wait_all(objects: &[&dyn Waitable], timeout: Option<Duration>) -> io::Result<Vec<usize>> {
    let deadline = timeout.and_then(deadline_after);
    let mut left: Vec<usize> = (0..objects.len()).collect();
    while !left.is_empty() {
        let waiting: Vec<_> = left.iter().map(|&i| objects[i]).collect();
        let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match wait_any(&waiting, timeout)? {
            Some(taken) => drop(left.remove(taken)),
            None => break,
        }
    }
    Ok(left)
}

/// Returns the time at which a timeout ends. Returns `None` if it is too far away to represent.
pub(crate) fn deadline_after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// Implements the wait methods of a type that is [`Waitable`].
macro_rules! impl_wait {
    ($type:ident, $condition:literal) => {
        impl $type {
            #[doc = concat!("Waits indefinitely until ", $condition, ".")]
            ///
            /// # Errors
            /// Returns the errors of [`wait_any`](crate::wait_any).
            pub fn wait(&self) -> std::io::Result<()> {
                $crate::wait_any(&[self], None).map(drop)
            }

            #[doc = concat!("Waits until ", $condition, ", at most for `timeout`.")]
            /// Returns `false` if the timeout passes first.
            ///
            /// # Errors
            /// Returns the errors of [`wait_any`](crate::wait_any).
            pub fn wait_timeout(&self, timeout: std::time::Duration) -> std::io::Result<bool> {
                Ok($crate::wait_any(&[self], Some(timeout))?.is_some())
            }
        }
    };
}
pub(crate) use impl_wait;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, ManualEvent};

    #[test]
    fn a_wait_for_nothing_without_an_end_is_refused() {
        let error = wait_any(&[], None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(wait_any(&[], Some(Duration::ZERO)).unwrap(), None);
        assert_eq!(wait_all(&[], None).unwrap(), Vec::<usize>::new());
    }

    #[test]
    fn the_first_in_order_is_taken_and_the_others_left() {
        let (a, b, c) = (Event::new().unwrap(), Event::new().unwrap(), ManualEvent::new().unwrap());
        b.set().unwrap();
        c.set().unwrap();
        assert_eq!(wait_any(&[&a, &b, &c], None).unwrap(), Some(1));
        assert_eq!(wait_any(&[&a, &b, &c], None).unwrap(), Some(2));
        assert_eq!(wait_any(&[&a, &b], Some(Duration::ZERO)).unwrap(), None);
    }

    #[test]
    fn wait_all_accepts_any_order_of_signals() {
        let (a, b, c) = (Event::new().unwrap(), Event::new().unwrap(), Event::new().unwrap());
        let left = std::thread::scope(|scope| {
            scope.spawn(|| [&c, &a, &b].map(|event| event.set().unwrap()));
            wait_all(&[&a, &b, &c], None).unwrap()
        });
        assert!(left.is_empty());
        b.set().unwrap();
        assert_eq!(wait_all(&[&a, &b, &c], Some(Duration::ZERO)).unwrap(), [0, 2]);
        assert_eq!(wait_all(&[], None).unwrap(), []);
    }

    #[test]
    fn an_unsignalled_object_is_not_consumed() {
        let (event, manual) = (Event::new().unwrap(), ManualEvent::new().unwrap());
        assert!(!try_take(&event).unwrap() && !try_take(&manual).unwrap());
        event.set().unwrap();
        manual.set().unwrap();
        assert!(try_take(&event).unwrap() && try_take(&manual).unwrap());
        assert!(!try_take(&event).unwrap() && try_take(&manual).unwrap());
    }

    #[test]
    fn one_set_wakes_one_of_two_waiters() {
        let event = Event::new().unwrap();
        let taken = std::thread::scope(|scope| {
            let wait = || event.wait_timeout(Duration::from_millis(200)).unwrap();
            let waiters = [scope.spawn(wait), scope.spawn(wait)];
            event.set().unwrap();
            waiters.map(|waiter| waiter.join().unwrap())
        });
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
    }
}
