//! Semaphores: so many may pass.
//!
//! | | |
//! |---|---|
//! | object | a [semaphore](https://learn.microsoft.com/windows/win32/sync/semaphore-objects), whose maximum is as large as can be |
//! | proof | the object's type is `Semaphore` |
//! | rights | `signal` (release) and `wait` (acquire): enforced by the kernel on the handle |
//! | `try_clone` | the same semaphore |
//! | MIDL | `sh_semaphore` |

use std::io;
use std::os::windows::io::AsHandle;
use std::time::Duration;

use super::handle::impl_owned;
use super::sys::{semaphore, wait};
use super::wait::{Waitable, wait_any};
use crate::{BorrowedHandle, Declared, Kind, OwnedHandle};

/// A count that `acquire` takes one from, waiting while it is zero, and `release` adds to.
#[derive(Debug)]
pub struct Semaphore(OwnedHandle);

impl_owned!(Semaphore, "semaphore", Declared::kind(Kind::Semaphore));

impl Semaphore {
    /// Makes a semaphore that lets `count` acquires through.
    ///
    /// # Errors
    /// Those of `CreateSemaphore`: more than `i32::MAX`.
    pub fn new(count: u32) -> io::Result<Self> {
        Ok(Self(semaphore::create(count)?))
    }

    /// Adds to the count: lets so many more acquires through. Never blocks.
    ///
    /// # Errors
    /// Those of `ReleaseSemaphore`: the count would pass its maximum, and nothing was added.
    pub fn release(&self, count: u32) -> io::Result<()> {
        match count {
            0 => Ok(()),
            count => semaphore::release(self.0.as_handle(), count),
        }
    }

    /// Takes one from the count, waiting for as long as it takes.
    ///
    /// # Errors
    /// Those of `WaitForSingleObject`.
    pub fn acquire(&self) -> io::Result<()> {
        wait_any(&[self], None).map(drop)
    }

    /// Takes one from the count if it isn't zero; says whether it did. Never blocks.
    ///
    /// # Errors
    /// Those of `WaitForSingleObject`.
    pub fn try_acquire(&self) -> io::Result<bool> {
        wait::is_signalled(self.0.as_handle())
    }

    /// Takes one from the count, but doesn't wait longer than `timeout`; says whether it did.
    ///
    /// # Errors
    /// Those of `WaitForSingleObject`.
    pub fn acquire_timeout(&self, timeout: Duration) -> io::Result<bool> {
        Ok(wait_any(&[self], Some(timeout))?.is_some())
    }
}

impl Waitable for Semaphore {
    fn handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_pass_as_the_count_says() {
        let semaphore = Semaphore::new(2).unwrap();
        assert!(semaphore.try_acquire().unwrap() && semaphore.try_acquire().unwrap());
        assert!(!semaphore.try_acquire().unwrap());
        semaphore.release(1).unwrap();
        semaphore.acquire().unwrap();
        assert!(!semaphore.acquire_timeout(Duration::from_millis(1)).unwrap());
    }
}
