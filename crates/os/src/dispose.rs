//! Closes handles that may make whoever closes them wait.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::OwnedHandle;

/// Closes a handle that isn't trusted, on a thread of its own and never on the caller's.
///
/// To close a file is to tell its file system
/// ([close(2)](https://man7.org/linux/man-pages/man2/close.2.html)), and one in user space may
/// never answer. At most [`STALLED_MAX`] threads wait for such answers; what comes after them
/// stays open until one is free. [`disposing`] counts both, so that a server can refuse peers
/// before they have used up its descriptors.
pub fn dispose(handle: OwnedHandle) {
    dispose_with(handle, ());
}

/// The same, and drops `closed` when the handle is closed.
pub fn dispose_with(handle: OwnedHandle, closed: impl Send + 'static) {
    let mut work = lock();
    work.queue.push_back((handle, Box::new(closed)));
    if work.threads < STALLED_MAX {
        let started = thread::Builder::new().name("dispose".to_owned()).spawn(close_all);
        // Without a thread to spare the handle stays in the queue for the next one.
        work.threads += usize::from(started.is_ok());
    }
}

/// How many handles [`dispose`] was given that aren't closed yet.
pub fn disposing() -> usize {
    let work = lock();
    work.queue.len() + work.closing
}

/// The most threads that wait for file systems to let go of a handle.
pub const STALLED_MAX: usize = 4;

struct Work {
    queue: VecDeque<(OwnedHandle, Box<dyn Send>)>,
    closing: usize,
    threads: usize,
}

static WORK: Mutex<Work> = Mutex::new(Work { queue: VecDeque::new(), closing: 0, threads: 0 });

/// Closes what is queued, then ends.
fn close_all() {
    let mut work = lock();
    while let Some((handle, closed)) = work.queue.pop_front() {
        work.closing += 1;
        drop(work);
        drop(handle);
        drop(closed);
        work = lock();
        work.closing -= 1;
    }
    work.threads -= 1;
}

fn lock() -> MutexGuard<'static, Work> {
    WORK.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use super::*;

    #[test]
    fn a_handle_is_closed_by_another_thread() {
        for _ in 0..2 * STALLED_MAX {
            let (mut reader, writer) = io::pipe().unwrap();
            dispose(writer.into());
            // The pipe ends when the writer is closed.
            assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        }
    }
}
