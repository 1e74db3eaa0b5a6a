//! Threads: wait for their end.
//!
//! | | |
//! |---|---|
//! | object | a [thread](https://learn.microsoft.com/windows/win32/procthread/thread-handles-and-identifiers) |
//! | proof | the object's type is `Thread` |
//! | rights | `wait` (`SYNCHRONIZE`) and `signal` (`THREAD_TERMINATE`): enforced by the kernel on the handle |
//! | `try_clone` | the same thread |
//! | MIDL | `sh_thread` |

use std::io;
use std::os::windows::io::AsHandle;
use std::time::Duration;

use super::handle::impl_owned;
use crate::sys::process;
use crate::wait::{Waitable, wait_any};
use crate::{BorrowedHandle, Declared, Kind, OwnedHandle};

/// A thread of any process, running or ended.
#[derive(Debug)]
pub struct Thread(OwnedHandle);

impl_owned!(Thread, "thread", Declared::kind(Kind::Thread));

impl Thread {
    /// Returns a real handle to the calling thread, never the pseudo-handle.
    ///
    /// # Errors
    /// Returns the errors of `DuplicateHandle`.
    pub fn current() -> io::Result<Self> {
        Ok(Self(process::current_thread()?))
    }

    /// Opens the thread that has this number now.
    ///
    /// # Errors
    /// Returns the errors of `OpenThread`.
    pub fn open(id: u32) -> io::Result<Self> {
        Ok(Self(process::open_thread(id)?))
    }

    /// Returns the number of the thread.
    ///
    /// # Errors
    /// Returns the errors of `GetThreadId`, for example if the handle lacks the right.
    pub fn id(&self) -> io::Result<Option<u32>> {
        process::thread_id(self.0.as_handle()).map(Some)
    }

    /// Waits until the thread has ended, without a time limit.
    ///
    /// # Errors
    /// Returns the errors of `WaitForSingleObject`.
    pub fn wait(&self) -> io::Result<()> {
        wait_any(&[self], None).map(drop)
    }

    /// Waits until the thread has ended, but at most `timeout`; returns whether it has.
    ///
    /// # Errors
    /// Returns the errors of `WaitForSingleObject`.
    pub fn wait_timeout(&self, timeout: Duration) -> io::Result<bool> {
        Ok(wait_any(&[self], Some(timeout))?.is_some())
    }
}

impl Waitable for Thread {
    fn handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_ends_ends_the_wait() {
        let (thread, handle) = std::thread::scope(|scope| {
            let spawned = scope.spawn(|| Thread::current().unwrap());
            let thread = spawned.join().unwrap();
            (thread.id().unwrap(), thread)
        });
        assert!(thread.is_some());
        assert!(handle.wait_timeout(Duration::from_secs(10)).unwrap());
    }
}
