//! Threads: wait for their end, send signals.
//!
//! | | |
//! |---|---|
//! | object | a pidfd made with `PIDFD_THREAD` ([pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html), Linux 6.9) |
//! | proof | `statx` shows the device of pidfds, and `F_GETFL` shows `PIDFD_THREAD` |
//! | rights | `wait`: every holder; `signal`: the kernel checks the permissions of the sending process |
//! | `try_clone` | the same thread |
//! | Windows | a thread HANDLE, `sh_thread` |
//!
//! The first thread of a process also has a thread handle, which isn't a handle to the process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::PidfdFlags;

use crate::handle::impl_handle;
use crate::process::{impl_process, named_pidfd_open, pidfd_open, told_exit_status};
use crate::wait::{Waitable, wait_any};
use crate::{Declared, Kind};

/// A thread, running or ended.
#[derive(Debug)]
pub struct Thread(OwnedFd);

impl_handle!(Thread => Declared::kind(Kind::Thread));

impl Thread {
    /// Returns a handle to the calling thread.
    ///
    /// # Errors
    /// `Unsupported` before Linux 6.9; fails if no descriptor is left.
    pub fn current() -> io::Result<Self> {
        Self::open(rustix::thread::gettid().as_raw_pid().unsigned_abs())
    }

    /// Returns the thread that has this number now, in this pid namespace.
    ///
    /// # Errors
    /// `NotFound` without such a thread; `Unsupported` before Linux 6.9; the other errors of
    /// `pidfd_open(2)`.
    pub fn open(id: u32) -> io::Result<Self> {
        match pidfd_open(id, THREAD, "thread") {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => Err(
                io::Error::new(io::ErrorKind::Unsupported, "a handle to a thread needs Linux 6.9"),
            ),
            opened => opened.map(Self).map_err(named_pidfd_open),
        }
    }

    /// Returns how the thread ended, in the form of a process's exit status; `None` while it runs,
    /// and before Linux 6.15. A thread that returns has the status 0, independently of its return
    /// value. A thread whose process ends has the status of the process.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        told_exit_status(self.0.as_fd())
    }
}

impl_process!(Thread, "thread");

/// `PIDFD_THREAD` of `linux/pidfd.h`.
pub(crate) const THREAD: PidfdFlags = PidfdFlags::from_bits_retain(rustix::fs::OFlags::EXCL.bits());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Object, identify};

    #[test]
    fn the_end_of_a_thread_is_waited_for() {
        let (send, receive) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let running = std::thread::spawn(move || {
            send.send(Thread::current()).unwrap();
            ended.recv().unwrap();
        });
        let thread = match receive.recv().unwrap() {
            Ok(thread) => thread,
            Err(error) => return println!("skipped: {error}"),
        };
        assert_eq!(identify(thread.as_fd()).unwrap().object, Object::Thread);
        assert!(thread.id().unwrap().is_some_and(|id| id != std::process::id()));
        assert!(!thread.wait_timeout(Duration::ZERO).unwrap());
        assert_eq!(thread.exit_status(), None);
        end.send(()).unwrap();
        assert!(thread.wait_timeout(Duration::from_secs(20)).unwrap());
        running.join().unwrap();
        match thread.exit_status() {
            Some(status) => assert!(status.success()),
            None => println!("skipped: this kernel forgets how a thread ended (Linux 6.15)"),
        }
        assert_eq!(thread.signal(0).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_number_that_no_thread_has_is_not_found() {
        match Thread::open(i32::MAX as u32).unwrap_err() {
            error if error.kind() == io::ErrorKind::Unsupported => println!("skipped: {error}"),
            error => assert_eq!(error.to_string(), "no thread has the number 2147483647"),
        }
    }
}
