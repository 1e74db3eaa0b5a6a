//! Waits for one of several objects, with a deadline.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

/// An object that a thread can wait for.
///
/// The kernel reports when the object's descriptor is readable. Then `take` claims the object,
/// because of several waiters only one may get, for example, an event that resets itself.
pub trait Waitable {
    /// Returns the descriptor that becomes readable when the wait may end.
    fn handle(&self) -> BorrowedFd<'_>;

    /// Claims the object after its descriptor became readable; returns `false` if another waiter
    /// was quicker. Never blocks.
    ///
    /// # Errors
    /// Returns the errors of the object.
    fn take(&self) -> io::Result<bool>;

    /// Returns how the kernel reports that the object may be taken.
    fn readiness(&self) -> Readiness {
        Readiness::Readable
    }

    /// Returns whether [`Waitable::take`] itself detects that the object isn't signalled, so that
    /// polling before it is unnecessary.
    fn take_finds_out(&self) -> bool {
        false
    }

    /// Returns the argument of [`poll(2)`](https://man7.org/linux/man-pages/man2/poll.2.html) that
    /// asks whether the object may be taken.
    #[doc(hidden)]
    fn poll_fd(&self) -> PollFd<'_> {
        PollFd::from_borrowed_fd(self.handle(), self.readiness().flags())
    }
}

/// How the kernel reports a descriptor whose wait may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The descriptor is readable: `POLLIN`.
    Readable,
    /// The content to read has changed since it was last read: `POLLPRI`. Check the content before
    /// the first wait, as [`Waitable::take`] does.
    Changed,
}

impl Readiness {
    fn flags(self) -> PollFlags {
        match self {
            Self::Readable => PollFlags::IN,
            Self::Changed => PollFlags::PRI,
        }
    }
}

/// Waits until one of the objects can be taken, and takes it. If several can be taken, takes the
/// first in order.
///
/// Returns the index of the object, or `None` if `timeout` passes first. Without a timeout the wait
/// has no time limit.
///
/// # Errors
/// Returns the errors of [`poll(2)`](https://man7.org/linux/man-pages/man2/poll.2.html) and of the
/// object's [`Waitable::take`]; `InvalidInput` for no objects without a timeout, because that wait
/// would never end.
pub fn wait_any(objects: &[&dyn Waitable], timeout: Option<Duration>) -> io::Result<Option<usize>> {
    if objects.is_empty() && timeout.is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is nothing to wait for"));
    }
    let deadline = timeout.and_then(deadline_after);
    let mut polls: Vec<_> = objects.iter().map(|object| object.poll_fd()).collect();
    for (i, object) in objects.iter().enumerate() {
        if object.readiness() == Readiness::Changed && object.take()? {
            return Ok(Some(i));
        }
    }
    loop {
        poll(&mut polls, deadline)?;
        for (i, polled) in polls.iter().enumerate() {
            if !polled.revents().is_empty() && objects[i].take()? {
                return Ok(Some(i));
            }
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(None);
        }
    }
}

/// Takes an object if it can be taken now; returns whether it was taken. Never blocks.
///
/// # Errors
/// Returns the errors of [`wait_any`].
pub fn try_take(object: &dyn Waitable) -> io::Result<bool> {
    match object.readiness() {
        Readiness::Changed => object.take(),
        Readiness::Readable if object.take_finds_out() => object.take(),
        Readiness::Readable => {
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            match rustix::event::poll(&mut [object.poll_fd()], Some(&now)) {
                Ok(0) | Err(Errno::INTR) => Ok(false),
                Ok(_) => object.take(),
                Err(error) => Err(error.into()),
            }
        }
    }
}

/// Waits until each of the objects has been taken. Returns the indices of the objects that were not
/// taken before `timeout` passed; the list is empty if all were taken. Without a timeout the wait
/// has no time limit.
///
/// Each object is taken as soon as it can be, independently of the other objects. A taken object
/// stays taken after a timeout.
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

/// Calls `ppoll` until something is ready or the deadline passes. A signal doesn't end the wait.
/// Returns how many are ready.
pub(crate) fn poll(polls: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<usize> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // The kernel may end a wait late by a thousandth of its length, or by five thousandths in a
        // process of low priority. So the last hundredth of a long wait is a separate wait.
        let is_long = left.is_some_and(|left| left > LONG_WAIT);
        let wait = left.map(|left| timespec(if is_long { left - left / 100 } else { left }));
        match rustix::event::poll(polls, wait.as_ref()) {
            Err(Errno::INTR) => continue,
            Ok(0) if is_long => continue,
            result => return Ok(result?),
        }
    }
}

/// The shortest wait that the kernel may end more than a few milliseconds late.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// Returns the point in time when a timeout ends; `None` if the timeout is too long to represent.
pub(crate) fn deadline_after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

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
