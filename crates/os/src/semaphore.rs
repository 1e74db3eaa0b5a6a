//! Semaphores: so many may pass.
//!
//! | | |
//! |---|---|
//! | object | an [eventfd(2)](https://man7.org/linux/man-pages/man2/eventfd.2.html) with `EFD_SEMAPHORE`: its count |
//! | proof | `/proc/self/fdinfo` says `eventfd-count`, and `eventfd-semaphore: 1`. Before Linux 6.5 it doesn't say the latter, and any eventfd passes |
//! | rights | `signal` (release) and `wait` (acquire): advisory. Whoever holds it can do both |
//! | `try_clone` | the same semaphore |
//! | Windows | a semaphore HANDLE, `sh_semaphore` |
//!
//! Unlike the Windows object it has no maximum of its own: nothing but agreement keeps the count
//! from growing beyond what it started with.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::EventfdFlags;
use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags};

use crate::handle::impl_handle;
use crate::wait::{Waitable, wait_any};
use crate::{Declared, Kind, device, fdinfo};

/// A count that `acquire` takes one from, waiting while it is zero, and `release` adds to.
#[derive(Debug)]
pub struct Semaphore(OwnedFd);

impl_handle!(Semaphore => Declared::kind(Kind::Semaphore));

impl Semaphore {
    /// Makes a semaphore that lets `count` acquires through.
    ///
    /// # Errors
    /// Those of `eventfd(2)`: no descriptor left.
    pub fn new(count: u32) -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE;
        Ok(Self(rustix::event::eventfd(count, flags)?))
    }

    /// Adds to the count: lets so many more acquires through. Doesn't block, unless a holder who
    /// means harm has filled the count and switched the semaphore to blocking.
    ///
    /// # Errors
    /// `WouldBlock`, and nothing added, when the count would pass `u64::MAX - 1`.
    pub fn release(&self, count: u32) -> io::Result<()> {
        loop {
            match rustix::io::write(&self.0, &u64::from(count).to_ne_bytes()) {
                Err(Errno::INTR) => {}
                written => return written.map(drop).map_err(io::Error::from),
            }
        }
    }

    /// Takes one from the count, waiting for as long as it takes.
    ///
    /// # Errors
    /// Those of `poll(2)` and `read(2)`.
    pub fn acquire(&self) -> io::Result<()> {
        wait_any(&[self], None).map(drop)
    }

    /// Takes one from the count if it isn't zero; says whether it did. Never blocks.
    ///
    /// # Errors
    /// Those of `read(2)` on an eventfd.
    pub fn try_acquire(&self) -> io::Result<bool> {
        self.take()
    }

    /// Takes one from the count, but doesn't wait longer than `timeout`; says whether it did.
    ///
    /// # Errors
    /// Those of `poll(2)` and `read(2)`.
    pub fn acquire_timeout(&self, timeout: Duration) -> io::Result<bool> {
        Ok(wait_any(&[self], Some(timeout))?.is_some())
    }

    /// The count at this moment; it may be another by the time it is looked at.
    ///
    /// # Errors
    /// `Unsupported` without `/proc`.
    pub fn count(&self) -> io::Result<u64> {
        let mut room = fdinfo::Room::new();
        let info = fdinfo::read(self.0.as_fd(), &device::stat(&self.0)?, &mut room)?;
        info.value("eventfd-count:")
            .and_then(|count| u64::from_str_radix(count, 16).ok())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no eventfd"))
    }

    /// A second handle to the same semaphore.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }
}

impl Waitable for Semaphore {
    fn handle(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn take(&self) -> io::Result<bool> {
        loop {
            let mut one = [0; 8];
            let buffers = &mut [IoSliceMut::new(&mut one)];
            // NOWAIT: a holder who isn't trusted may have switched it back to blocking.
            match rustix::io::preadv2(&self.0, buffers, u64::MAX, ReadWriteFlags::NOWAIT) {
                Ok(_) => return Ok(true),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn take_finds_out(&self) -> bool {
        true
    }
}

impl AsFd for Semaphore {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Takes an eventfd in semaphore mode, and switches it to not blocking for all who hold it.
impl From<OwnedFd> for Semaphore {
    fn from(handle: OwnedFd) -> Self {
        // It fails for no eventfd; and for what isn't one, nothing here promises anything.
        let _ = rustix::fs::fcntl_setfl(&handle, OFlags::RDWR | OFlags::NONBLOCK);
        Self(handle)
    }
}

impl From<Semaphore> for OwnedFd {
    fn from(semaphore: Semaphore) -> Self {
        semaphore.0
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
        semaphore.release(3).unwrap();
        assert_eq!(semaphore.count().unwrap(), 3);
        semaphore.acquire().unwrap();
        assert_eq!(semaphore.try_clone().unwrap().count().unwrap(), 2);
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
        let semaphore = Semaphore::new(1).unwrap();
        rustix::io::write(&semaphore, &(u64::MAX - 2).to_ne_bytes()).unwrap();
        assert_eq!(semaphore.release(1).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
