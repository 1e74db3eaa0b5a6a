//! Threads: waiting for their end.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | a pidfd created with `PIDFD_THREAD` ([pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html), Linux 6.9) | a [thread](https://learn.microsoft.com/windows/win32/procthread/thread-handles-and-identifiers) |
//! | proof | `statx` shows the device of pidfds, and `F_GETFL` shows `PIDFD_THREAD` | the object's type is `Thread` |
//! | rights | `wait`: every holder. `signal`: the kernel checks the permissions of the sending process | `wait` (`SYNCHRONIZE`) and `signal` (`THREAD_TERMINATE`): enforced by the kernel on the handle |
//! | `try_clone` | the same thread | the same thread |
//! | MIDL | | `sh_thread` |
//!
//! On Linux, a handle to the main thread of a process is different from a handle to the process.

use std::io;

use crate::owned::impl_owned;
use crate::wait::impl_wait;
use crate::{BorrowedHandle, Declaration, Handle, Kind, OwnedHandle, Waitable, sys};

/// A thread of any process, running or ended.
#[derive(Debug)]
pub struct Thread(OwnedHandle);

impl_owned!(Thread, "thread", Declaration::kind(Kind::Thread));
impl_wait!(Thread, "the thread has ended");

impl Thread {
    /// Returns a handle to the calling thread. On Windows, it is a real handle and not the
    /// pseudo-handle.
    ///
    /// # Errors
    /// On Linux: `Unsupported` before Linux 6.9, and an error if this process can't open more file
    /// descriptors. On Windows: the errors of `DuplicateHandle`.
    pub fn current() -> io::Result<Self> {
        sys::process::current_thread().map(Self)
    }

    /// Opens the thread that has this ID now, on Linux in this pid namespace.
    ///
    /// # Errors
    /// `NotFound` if there is no such thread; `Unsupported` before Linux 6.9. Otherwise the errors
    /// of `pidfd_open(2)` on Linux and of `OpenThread` on Windows.
    pub fn open(id: u32) -> io::Result<Self> {
        sys::process::open_thread(id).map(Self)
    }

    /// Returns the thread ID, on Linux in the pid namespace of this process. Returns `None` if the
    /// thread isn't visible there or no longer exists.
    ///
    /// The ID is for display only. Another thread may have it by the time it is used.
    ///
    /// # Errors
    /// `Unsupported` before Linux 6.13 if `/proc` isn't mounted; the errors of `GetThreadId` on
    /// Windows, for example if the handle lacks the right.
    pub fn id(&self) -> io::Result<Option<u32>> {
        sys::process::thread_id(self.as_handle())
    }
}

/// Linux only.
#[cfg(not(windows))]
impl Thread {
    /// Returns how the thread ended, in the form of a process's exit status. Returns `None` while
    /// it runs, and before Linux 6.15. A thread that returns has the status 0, independent of its
    /// return value. A thread that ends with its process has the status of the process.
    pub fn exit_status(&self) -> Option<std::process::ExitStatus> {
        sys::process::told_exit_status(self.as_handle())
    }

    /// Sends a signal to the thread, by its number in
    /// [signal(7)](https://man7.org/linux/man-pages/man7/signal.7.html). Signal 0 only checks
    /// whether the thread could be signalled.
    ///
    /// # Errors
    /// Returns the errors of
    /// [`pidfd_send_signal(2)`](https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html),
    /// for example `PermissionDenied`, or `NotFound` if the thread no longer exists.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        sys::process::signal(self.as_handle(), number, "thread")
    }
}

/// Taking the object doesn't change it, because an ended thread stays ended.
impl Waitable for Thread {
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
    fn a_thread_that_ends_ends_the_wait() {
        let spawned = std::thread::spawn(|| Thread::current().map(|thread| (thread.id(), thread)));
        match spawned.join().unwrap() {
            Ok((id, thread)) => {
                assert!(id.unwrap().is_some());
                assert!(thread.wait_timeout(Duration::from_secs(20)).unwrap());
            }
            Err(error) => println!("skipped: {error}"),
        }
    }

    #[test]
    fn a_number_that_no_thread_has_is_not_found() {
        match Thread::open(i32::MAX as u32).unwrap_err() {
            error if error.kind() == io::ErrorKind::Unsupported => println!("skipped: {error}"),
            error => assert_eq!(error.to_string(), "no thread has the number 2147483647"),
        }
    }
}
