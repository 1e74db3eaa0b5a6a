//! Processes: waiting for their end, reading their exit status, ending them.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | a pidfd ([pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html)), which refers to the same process even if its ID is reused | a [process](https://learn.microsoft.com/windows/win32/procthread/process-handles-and-identifiers) |
//! | proof | `statx` shows the device of pidfds, and `F_GETFL` doesn't show `PIDFD_THREAD`; before Linux 6.9 `/proc/self/fdinfo` has `Pid` | the object's type is `Process` |
//! | rights | `wait`: every holder. `signal`: the kernel checks the permissions of the sending process, as for [kill(2)](https://man7.org/linux/man-pages/man2/kill.2.html), and not a right of the handle | `wait` (`SYNCHRONIZE`) and `signal` (`PROCESS_TERMINATE`): enforced by the kernel on the handle |
//! | `try_clone` | the same process | the same process |
//! | MIDL | | `sh_process` |

use std::io::{self, ErrorKind};
use std::process::{Child, ExitStatus};

use crate::owned::impl_owned;
use crate::wait::impl_wait;
use crate::{BorrowedHandle, Declaration, Handle, Kind, OwnedHandle, Waitable, sys};

/// A process, running or ended.
#[derive(Debug)]
pub struct Process(OwnedHandle);

impl_owned!(Process, "process", Declaration::kind(Kind::Process));
impl_wait!(Process, "the process has ended");

impl Process {
    /// Returns a handle to this process. On Windows, it is a real handle and not the pseudo-handle,
    /// which always refers to the process that uses it.
    ///
    /// # Errors
    /// Returns the errors of `pidfd_open(2)` on Linux, for example if this process can't open more
    /// file descriptors, and of `DuplicateHandle` on Windows.
    pub fn current() -> io::Result<Self> {
        sys::process::current().map(Self)
    }

    /// Opens the process that has this ID now. On Windows, the handle permits waiting, queries and,
    /// if permitted, ending the process.
    ///
    /// The caller can be sure that the ID still refers to the intended process in three cases only:
    /// for this process itself, for a child that wasn't waited for yet, and on Windows while
    /// another handle to the process is open.
    ///
    /// # Errors
    /// `NotFound` if there is no such process. Otherwise the errors of `pidfd_open(2)` on Linux and
    /// of `OpenProcess` on Windows.
    pub fn open(id: u32) -> io::Result<Self> {
        sys::process::open(id).map(Self)
    }

    /// Returns a handle to a child process. The owner of the [`Child`] still has to wait for the
    /// child.
    ///
    /// # Errors
    /// On Linux: `NotFound` if the child was already waited for, and the other errors of
    /// `pidfd_open(2)`. On Windows: the errors of `DuplicateHandle`.
    pub fn of(child: &Child) -> io::Result<Self> {
        sys::process::of(child).map(Self)
    }

    /// Returns the process ID, on Linux in the pid namespace of this process. Returns `None` if the
    /// process isn't visible there or no longer exists.
    ///
    /// The ID is for display only. Another process may have it by the time it is used.
    ///
    /// # Errors
    /// `Unsupported` before Linux 6.13 if `/proc` isn't mounted; the errors of `GetProcessId` on
    /// Windows, for example if the handle lacks the right.
    pub fn id(&self) -> io::Result<Option<u32>> {
        sys::process::id(self.as_handle())
    }

    /// Returns how the process ended. Returns `None` while it runs, or if the kernel doesn't tell.
    ///
    /// Linux reports the exit status to the parent. From Linux 6.15 on, it also reports it to any
    /// holder of a pidfd after the parent has received it.
    ///
    /// # Errors
    /// Returns the errors of [`waitid(2)`](https://man7.org/linux/man-pages/man2/waitid.2.html) on
    /// Linux, and of `GetExitCodeProcess` on Windows, for example if the handle lacks the right.
    pub fn exit_status(&self) -> io::Result<Option<ExitStatus>> {
        sys::process::exit_status(self)
    }
}

/// Linux only.
#[cfg(not(windows))]
impl Process {
    /// Returns whether two pidfds refer to the same process. Returns `None` if the kernel can't
    /// tell (before Linux 6.9).
    #[doc(hidden)]
    pub fn are_same(one: BorrowedHandle<'_>, other: BorrowedHandle<'_>) -> Option<bool> {
        sys::process::are_same(one, other)
    }

    /// Returns the user and group of the process (Linux 6.13).
    ///
    /// # Errors
    /// `Unsupported` on an older kernel; `NotFound` if the process no longer exists.
    pub fn credentials(&self) -> io::Result<crate::Credentials> {
        sys::process::credentials(self.as_handle())
    }

    /// Sends a signal to the process, by its number in
    /// [signal(7)](https://man7.org/linux/man-pages/man7/signal.7.html). Signal 0 only checks
    /// whether the process could be signalled.
    ///
    /// # Errors
    /// Returns the errors of
    /// [`pidfd_send_signal(2)`](https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html),
    /// for example `PermissionDenied`, or `NotFound` if the process no longer exists.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        sys::process::signal(self.as_handle(), number, "process")
    }
}

/// Windows only.
#[cfg(windows)]
impl Process {
    /// Opens the process that has this ID now. The handle permits waiting, and duplicating handles
    /// from and into the process ([`pull`](crate::pull), [`push`](crate::push)).
    ///
    /// # Errors
    /// Returns the errors of [`Process::open`].
    #[doc(hidden)]
    pub fn open_to_duplicate(id: u32) -> io::Result<Self> {
        sys::process::open_to_duplicate(id).map(Self)
    }

    /// Opens the process that has this ID now. The handle only permits waiting for its end.
    ///
    /// # Errors
    /// Returns the errors of [`Process::open`].
    #[doc(hidden)]
    pub fn open_to_watch(id: u32) -> io::Result<Self> {
        sys::process::open_to_watch(id).map(Self)
    }

    /// Ends the process immediately, without running its cleanup code.
    ///
    /// # Errors
    /// Returns the errors of `TerminateProcess`, for example if the handle lacks the right, or if
    /// the process has already ended.
    pub fn kill(&self) -> io::Result<()> {
        sys::process::terminate(self.as_handle())
    }
}

/// Taking the object doesn't change it, because an ended process stays ended.
impl Waitable for Process {
    fn handle(&self) -> BorrowedHandle<'_> {
        self.as_handle()
    }

    #[cfg(not(windows))]
    fn take(&self) -> io::Result<bool> {
        Ok(true)
    }
}

/// Windows only: sets an environment variable of this process. On Windows, this is safe while other
/// threads read the environment. Ignores an invalid name or value.
#[cfg(windows)]
pub fn set_variable(name: &str, value: &str) {
    // The call fails for names with `=` and for texts with NUL characters, which registrations
    // don't contain.
    let _ = sys::process::set_variable(name, value);
}

/// Returns the error for an ID that no process or thread has.
pub(crate) fn no_such(noun: &str, id: u32) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("no {noun} has the number {id}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn this_process_runs_and_is_known_by_its_number() {
        let process = Process::current().unwrap();
        assert_eq!(process.id().unwrap(), Some(std::process::id()));
        assert_eq!(process.exit_status().unwrap(), None);
        assert!(!process.wait_timeout(Duration::ZERO).unwrap());
    }

    #[test]
    fn a_number_that_no_process_has_is_not_found() {
        // The kernel assigns neither 0 nor IDs this high.
        for id in [0, i32::MAX as u32, u32::MAX] {
            let error = Process::open(id).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(error.to_string(), format!("no process has the number {id}"));
        }
    }
}
