//! Waiting for one of several objects, with a deadline.

use std::io;
use std::time::{Duration, Instant};

use super::sys::wait;
use crate::BorrowedHandle;

/// An object that a thread can wait for. The kernel takes it with the wait: of several waiters
/// only one gets an event that resets itself.
pub trait Waitable {
    /// The handle that is waited for.
    fn handle(&self) -> BorrowedHandle<'_>;
}

/// Waits until one of the objects can be taken, and takes that one: of several the first in order.
///
/// Returns its index, or `None` when `timeout` has passed before. No timeout waits for as long as
/// it takes.
///
/// # Errors
/// Those of `WaitForMultipleObjects`: more than 64 objects, a handle without the right to wait.
pub fn wait_any(objects: &[&dyn Waitable], timeout: Option<Duration>) -> io::Result<Option<usize>> {
    let handles: Vec<_> = objects.iter().map(|object| object.handle()).collect();
    wait::any(&handles, timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
}

/// Waits until each of the objects was taken, and returns the indices of those that weren't before
/// `timeout` has passed: none, when all were. No timeout waits for as long as it takes.
///
/// An object is taken as soon as it can be, whatever the others do: what was taken stays taken when
/// the time is over.
///
/// # Errors
/// Those of [`wait_any`].
pub fn wait_all(objects: &[&dyn Waitable], timeout: Option<Duration>) -> io::Result<Vec<usize>> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, ManualEvent};

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
    fn all_are_waited_for_in_whatever_order_they_come() {
        let (a, b, c) = (Event::new().unwrap(), Event::new().unwrap(), Event::new().unwrap());
        let left = std::thread::scope(|scope| {
            scope.spawn(|| [&c, &a, &b].map(|event| event.set().unwrap()));
            wait_all(&[&a, &b, &c], None).unwrap()
        });
        assert!(left.is_empty());
    }
}
