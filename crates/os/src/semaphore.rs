//! Semaphores: counters that limit how many threads or processes may continue.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | an [eventfd(2)](https://man7.org/linux/man-pages/man2/eventfd.2.html) with `EFD_SEMAPHORE` | a [semaphore](https://learn.microsoft.com/windows/win32/sync/semaphore-objects) with the largest possible maximum |
//! | proof | `/proc/self/fdinfo` has `eventfd-count` and `eventfd-semaphore: 1`. Before Linux 6.5 it lacks the latter, and any eventfd passes | the object's type is `Semaphore` |
//! | rights | `signal` (release) and `wait` (acquire): advisory. Any holder can do both | `signal` (release) and `wait` (acquire): enforced by the kernel on the handle |
//! | `try_clone` | the same semaphore | the same semaphore |
//! | MIDL | | `sh_semaphore` |
//!
//! A semaphore has only the maximum of the system. If its count must not exceed the initial value,
//! its holders have to agree on that.

use std::io;
use std::time::Duration;

use crate::owned::impl_owned;
use crate::{
    BorrowedHandle, Declaration, Handle, Kind, OwnedHandle, Waitable, sys, try_take, wait_any,
};

/// A counting semaphore. `acquire` subtracts one from the count, and waits while the count is zero.
/// `release` adds to the count.
#[derive(Debug)]
pub struct Semaphore(OwnedHandle);

impl_owned!(Semaphore, "semaphore", Declaration::kind(Kind::Semaphore));

impl Semaphore {
    /// Creates an unnamed semaphore with this count.
    ///
    /// # Errors
    /// Returns the errors of `eventfd(2)` on Linux, for example if this process can't open more
    /// file descriptors, and of `CreateSemaphore` on Windows, for example for a count above
    /// `i32::MAX`.
    pub fn new(count: u32) -> io::Result<Self> {
        sys::semaphore::create(count).map(Self)
    }

    /// Adds `count` to the semaphore's count, so that as many more acquires succeed.
    ///
    /// On Linux, other holders can't block this call if `count` is at most 4,096, with the
    /// exception documented for [`Event::set`](crate::Event::set). A greater `count` uses
    /// `write(2)`, which a hostile holder can block by switching the semaphore to blocking mode. On
    /// Windows, this call never blocks.
    ///
    /// # Errors
    /// `WouldBlock` if the semaphore's count is already at its maximum, which is `u64::MAX - 1` on
    /// Linux and `i32::MAX` on Windows. The same error is returned if the sum would exceed the
    /// maximum. On Linux, the count may then have become the maximum; on Windows, it is unchanged.
    /// On Windows, also the other errors of `ReleaseSemaphore`.
    pub fn release(&self, count: u32) -> io::Result<()> {
        match sys::semaphore::release(self.as_handle(), count)? {
            true => Ok(()),
            false => {
                let what = "the count of the semaphore is at its maximum";
                Err(io::Error::new(io::ErrorKind::WouldBlock, what))
            }
        }
    }

    /// Subtracts one from the count. If the count is zero, waits indefinitely.
    ///
    /// # Errors
    /// Returns the errors of [`wait_any`].
    pub fn acquire(&self) -> io::Result<()> {
        wait_any(&[self], None).map(drop)
    }

    /// Subtracts one from the count unless it is zero. Returns whether it did. Never blocks.
    ///
    /// # Errors
    /// Returns the errors of [`wait_any`].
    pub fn try_acquire(&self) -> io::Result<bool> {
        try_take(self)
    }

    /// Subtracts one from the count. If the count is zero, waits at most `timeout`. Returns whether
    /// it subtracted.
    ///
    /// # Errors
    /// Returns the errors of [`wait_any`].
    pub fn acquire_timeout(&self, timeout: Duration) -> io::Result<bool> {
        Ok(wait_any(&[self], Some(timeout))?.is_some())
    }

    /// Linux only: returns the count, which may change at any time.
    ///
    /// # Errors
    /// `Unsupported` if `/proc` isn't mounted.
    #[cfg(not(windows))]
    pub fn count(&self) -> io::Result<u64> {
        sys::semaphore::count(self.as_handle())
    }
}

impl Waitable for Semaphore {
    fn handle(&self) -> BorrowedHandle<'_> {
        self.as_handle()
    }

    #[cfg(not(windows))]
    fn take(&self) -> io::Result<bool> {
        sys::counter::take(self.as_handle())
    }

    #[cfg(not(windows))]
    fn take_finds_out(&self) -> bool {
        true
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
        semaphore.release(2).unwrap();
        semaphore.acquire().unwrap();
        assert!(semaphore.try_clone().unwrap().try_acquire().unwrap());
        assert!(!semaphore.try_acquire().unwrap());
    }

    #[test]
    fn an_acquire_waits_for_a_release_or_its_deadline() {
        let semaphore = Semaphore::new(0).unwrap();
        assert!(!semaphore.acquire_timeout(Duration::from_millis(1)).unwrap());
        std::thread::scope(|scope| {
            scope.spawn(|| semaphore.release(1).unwrap());
            assert!(semaphore.acquire_timeout(Duration::from_secs(20)).unwrap());
        });
    }

    #[test]
    fn a_full_semaphore_says_so() {
        #[cfg(windows)]
        let semaphore = Semaphore::new(i32::MAX as u32).unwrap();
        #[cfg(not(windows))]
        let semaphore = Semaphore::new(1).unwrap();
        #[cfg(not(windows))]
        rustix::io::write(&semaphore, &(u64::MAX - 2).to_ne_bytes()).unwrap();
        let error = semaphore.release(1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(error.to_string(), "the count of the semaphore is at its maximum");
    }
}
