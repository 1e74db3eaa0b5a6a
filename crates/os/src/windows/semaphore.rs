//! Semaphores: counters that limit how many threads or processes may continue.
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
use super::wait::{Waitable, wait_any};
use crate::sys::{semaphore, wait};
use crate::{BorrowedHandle, Declared, Kind, OwnedHandle};

/// A counter. `acquire` subtracts one, waiting while the count is zero, and `release` adds to it.
#[derive(Debug)]
pub struct Semaphore(OwnedHandle);

impl_owned!(Semaphore, "semaphore", Declared::kind(Kind::Semaphore));

impl Semaphore {
    /// Makes a semaphore with this count.
    ///
    /// # Errors
    /// Returns the errors of `CreateSemaphore`, for example for more than `i32::MAX`.
    pub fn new(count: u32) -> io::Result<Self> {
        Ok(Self(semaphore::create(count)?))
    }

    /// Adds to the count, so that `count` more acquires succeed. Never blocks.
    ///
    /// # Errors
    /// Returns the errors of `ReleaseSemaphore`, with nothing added, if the count would exceed its
    /// maximum.
    pub fn release(&self, count: u32) -> io::Result<()> {
        match count {
            0 => Ok(()),
            count => semaphore::release(self.0.as_handle(), count),
        }
    }

    /// Subtracts one from the count, waiting without a time limit.
    ///
    /// # Errors
    /// Returns the errors of `WaitForSingleObject`.
    pub fn acquire(&self) -> io::Result<()> {
        wait_any(&[self], None).map(drop)
    }

    /// Subtracts one from the count unless it is zero; returns whether it did. Never blocks.
    ///
    /// # Errors
    /// Returns the errors of `WaitForSingleObject`.
    pub fn try_acquire(&self) -> io::Result<bool> {
        wait::is_signalled(self.0.as_handle())
    }

    /// Subtracts one from the count, waiting at most `timeout`; returns whether it did.
    ///
    /// # Errors
    /// Returns the errors of `WaitForSingleObject`.
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
