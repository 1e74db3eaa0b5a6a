//! Processes: wait for their end, ask how it was, end them.
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
use super::sys::process;
use super::wait::{Waitable, wait_any};
use crate::{BorrowedHandle, Declared, Kind, OwnedHandle};

/// A process, running or ended.
#[derive(Debug)]
pub struct Process(OwnedHandle);

impl_owned!(Process, "process", Declared::kind(Kind::Process));

impl Process {
    /// This process: a real handle, never the pseudo-handle that means whoever uses it.
    ///
    /// # Errors
    /// Those of `DuplicateHandle`.
    pub fn current() -> io::Result<Self> {
        Ok(Self(process::current()?))
    }

    /// The process that has this number now, to wait for it, to ask of it, and to end it where
    /// that is allowed. Only while something else keeps the process from vanishing is that certain
    /// to be the one that was meant.
    ///
    /// # Errors
    /// Those of `OpenProcess`.
    pub fn open(id: u32) -> io::Result<Self> {
        Ok(Self(process::open(id)?))
    }

    /// The same, to take handles from it and to put handles into it ([`pull`](crate::pull),
    /// [`push`](crate::push)), and to wait for it.
    ///
    /// # Errors
    /// Those of `OpenProcess`.
    pub fn open_to_duplicate(id: u32) -> io::Result<Self> {
        Ok(Self(process::open_to_duplicate(id)?))
    }

    /// The same, only to wait for its end.
    ///
    /// # Errors
    /// Those of `OpenProcess`.
    pub fn open_to_watch(id: u32) -> io::Result<Self> {
        Ok(Self(process::open_to_watch(id)?))
    }

    /// A child of this process.
    ///
    /// # Errors
    /// Those of `DuplicateHandle`.
    pub fn of(child: &Child) -> io::Result<Self> {
        Ok(Self(child.as_handle().try_clone_to_owned()?))
    }

    /// How the process ended; `None` while it runs.
    ///
    /// # Errors
    /// Those of `GetExitCodeProcess`: the handle lacks the right.
    pub fn exit_status(&self) -> io::Result<Option<ExitStatus>> {
        match self.wait_timeout(Duration::ZERO)? {
            true => Ok(Some(ExitStatus::from_raw(process::exit_code(self.0.as_handle())?))),
            false => Ok(None),
        }
    }

    /// Its number.
    ///
    /// # Errors
    /// Those of `GetProcessId`: the handle lacks the right.
    pub fn id(&self) -> io::Result<Option<u32>> {
        process::id(self.0.as_handle()).map(Some)
    }

    /// Ends the process, which has no say in it.
    ///
    /// # Errors
    /// Those of `TerminateProcess`: the handle lacks the right; it has ended already.
    pub fn kill(&self) -> io::Result<()> {
        process::terminate(self.0.as_handle())
    }

    /// Waits until the process has ended, for as long as it takes.
    ///
    /// # Errors
    /// Those of `WaitForSingleObject`.
    pub fn wait(&self) -> io::Result<()> {
        wait_any(&[self], None).map(drop)
    }

    /// Waits until the process has ended, but not longer than `timeout`; says whether it has.
    ///
    /// # Errors
    /// Those of `WaitForSingleObject`.
    pub fn wait_timeout(&self, timeout: Duration) -> io::Result<bool> {
        Ok(wait_any(&[self], Some(timeout))?.is_some())
    }
}

impl Waitable for Process {
    fn handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

/// Sets a variable of this process's environment, which any thread may read at the same time here. A
/// name or value that can't be one is left out.
pub fn set_variable(name: &str, value: &str) {
    // It fails for names with `=` and texts with zeros, which are in no registration of ours.
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
