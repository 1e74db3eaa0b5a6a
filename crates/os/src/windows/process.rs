//! Processes: wait for their end, read their exit status, end them.
//!
//! | | |
//! |---|---|
//! | object | a [process](https://learn.microsoft.com/windows/win32/procthread/process-handles-and-identifiers) |
//! | proof | the object's type is `Process` |
//! | rights | `wait` (`SYNCHRONIZE`) and `signal` (`PROCESS_TERMINATE`): enforced by the kernel on the handle |
//! | `try_clone` | the same process |
//! | MIDL | `sh_process` |

use std::io;
use std::os::windows::io::AsHandle;
use std::os::windows::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use super::handle::impl_owned;
use crate::sys::process;
use crate::wait::{Waitable, wait_any};
use crate::{BorrowedHandle, Declared, Kind, OwnedHandle};

/// A process, running or ended.
#[derive(Debug)]
pub struct Process(OwnedHandle);

impl_owned!(Process, "process", Declared::kind(Kind::Process));

impl Process {
    /// Returns a real handle to this process, never the pseudo-handle, which refers to the process
    /// that uses it.
    ///
    /// # Errors
    /// Returns the errors of `DuplicateHandle`.
    pub fn current() -> io::Result<Self> {
        Ok(Self(process::current()?))
    }

    /// Opens the process that has this number now, for waiting, for queries and, if permitted, for
    /// ending it. The number certainly refers to the intended process only while another handle
    /// keeps that process from being removed.
    ///
    /// # Errors
    /// Returns the errors of `OpenProcess`.
    pub fn open(id: u32) -> io::Result<Self> {
        Ok(Self(process::open(id)?))
    }

    /// Opens the process that has this number now, for duplicating handles from it and into it
    /// ([`pull`](crate::pull), [`push`](crate::push)), and for waiting.
    ///
    /// # Errors
    /// Returns the errors of `OpenProcess`.
    pub fn open_to_duplicate(id: u32) -> io::Result<Self> {
        Ok(Self(process::open_to_duplicate(id)?))
    }

    /// Opens the process that has this number now, only for waiting for its end.
    ///
    /// # Errors
    /// Returns the errors of `OpenProcess`.
    pub fn open_to_watch(id: u32) -> io::Result<Self> {
        Ok(Self(process::open_to_watch(id)?))
    }

    /// Returns a handle to a child of this process.
    ///
    /// # Errors
    /// Returns the errors of `DuplicateHandle`.
    pub fn of(child: &Child) -> io::Result<Self> {
        Ok(Self(child.as_handle().try_clone_to_owned()?))
    }

    /// Returns how the process ended; `None` while it runs.
    ///
    /// # Errors
    /// Returns the errors of `GetExitCodeProcess`, for example if the handle lacks the right.
    pub fn exit_status(&self) -> io::Result<Option<ExitStatus>> {
        match self.wait_timeout(Duration::ZERO)? {
            true => Ok(Some(ExitStatus::from_raw(process::exit_code(self.0.as_handle())?))),
            false => Ok(None),
        }
    }

    /// Returns the number of the process.
    ///
    /// # Errors
    /// Returns the errors of `GetProcessId`, for example if the handle lacks the right.
    pub fn id(&self) -> io::Result<Option<u32>> {
        process::id(self.0.as_handle()).map(Some)
    }

    /// Ends the process immediately, without running its cleanup code.
    ///
    /// # Errors
    /// Returns the errors of `TerminateProcess`, for example if the handle lacks the right, or if
    /// the process has ended already.
    pub fn kill(&self) -> io::Result<()> {
        process::terminate(self.0.as_handle())
    }

    /// Waits until the process has ended, without a time limit.
    ///
    /// # Errors
    /// Returns the errors of `WaitForSingleObject`.
    pub fn wait(&self) -> io::Result<()> {
        wait_any(&[self], None).map(drop)
    }

    /// Waits until the process has ended, but at most `timeout`; returns whether it has.
    ///
    /// # Errors
    /// Returns the errors of `WaitForSingleObject`.
    pub fn wait_timeout(&self, timeout: Duration) -> io::Result<bool> {
        Ok(wait_any(&[self], Some(timeout))?.is_some())
    }
}

impl Waitable for Process {
    fn handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

/// Sets a variable of this process's environment, which any thread may read at the same time on
/// Windows. Ignores an invalid name or value.
pub fn set_variable(name: &str, value: &str) {
    // The call fails for names with `=` and texts with zeros, which no registration contains.
    let _ = process::set_variable(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_is_known_by_its_number() {
        let process = Process::current().unwrap();
        assert_eq!(process.id().unwrap(), Some(std::process::id()));
        assert_eq!(process.exit_status().unwrap(), None);
        assert!(!process.wait_timeout(Duration::ZERO).unwrap());
    }
}
