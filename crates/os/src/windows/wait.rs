//! Waits for one of several objects, with a deadline.

use std::io;
use std::time::{Duration, Instant};

use crate::BorrowedHandle;
use crate::sys::wait;

/// An object that a thread can wait for. The kernel takes it at the end of the wait: of several
/// waiters, only one gets an event that resets itself.
pub trait Waitable {
    /// Returns the handle to wait for.
    fn handle(&self) -> BorrowedHandle<'_>;
}

/// Waits until one of the objects can be taken, and takes it. If several can be taken, takes the
/// first in order.
///
/// Returns the index of the object, or `None` if `timeout` passes first. Without a timeout the wait
/// has no time limit.
///
/// # Errors
/// Returns the errors of `WaitForMultipleObjects`, for example for more than 64 objects, or for a
/// handle without the right to wait.
pub fn wait_any(objects: &[&dyn Waitable], timeout: Option<Duration>) -> io::Result<Option<usize>> {
    let handles: Vec<_> = objects.iter().map(|object| object.handle()).collect();
    wait::any(&handles, timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
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
    fn wait_all_accepts_any_order_of_signals() {
        let (a, b, c) = (Event::new().unwrap(), Event::new().unwrap(), Event::new().unwrap());
        let left = std::thread::scope(|scope| {
            scope.spawn(|| [&c, &a, &b].map(|event| event.set().unwrap()));
            wait_all(&[&a, &b, &c], None).unwrap()
        });
        assert!(left.is_empty());
    }
}
