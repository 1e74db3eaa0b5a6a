//! Semaphores: counters that limit how many threads or processes may continue.
//!
//! | | |
//! |---|---|
//! | object | an [eventfd(2)](https://man7.org/linux/man-pages/man2/eventfd.2.html) with `EFD_SEMAPHORE`: its count |
//! | proof | `/proc/self/fdinfo` has `eventfd-count` and `eventfd-semaphore: 1`. Before Linux 6.5 it lacks the latter, and any eventfd passes |
//! | rights | `signal` (release) and `wait` (acquire): advisory. Each holder can do both |
//! | `try_clone` | the same semaphore |
//! | Windows | a semaphore HANDLE, `sh_semaphore` |
//!
//! Unlike the Windows object, a semaphore has no maximum. Only agreement between its holders keeps
//! the count from exceeding its initial value.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::EventfdFlags;
use rustix::io::Errno;

use crate::handle::impl_handle;
use crate::sys::{counter, device, fdinfo};
use crate::system_call::{DUPLICATE, failed};
use crate::wait::{Waitable, wait_any};
use crate::{Declared, Kind};

/// A counter. `acquire` subtracts one, waiting while the count is zero, and `release` adds to it.
#[derive(Debug)]
pub struct Semaphore(OwnedFd);

impl_handle!(Semaphore => Declared::kind(Kind::Semaphore));

impl Semaphore {
    /// Makes a semaphore with this count.
    ///
    /// # Errors
    /// Returns the errors of `eventfd(2)`, for example if no descriptor is left.
    pub fn new(count: u32) -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE;
        rustix::event::eventfd(count, flags).map(Self).map_err(failed("eventfd2"))
    }

    /// Adds to the count, so that `count` more acquires succeed. Other holders can't block this
    /// call if `count` is at most 4,096, with the exceptions of [`Event::set`](crate::Event::set).
    /// A greater count is one `write(2)`, which a hostile holder can block by switching the
    /// semaphore to blocking.
    ///
    /// # Errors
    /// `WouldBlock`, with nothing added, if the count is `u64::MAX - 1`. If the sum would exceed
    /// that value, the count may become that value.
    pub fn release(&self, count: u32) -> io::Result<()> {
        match counter::has_room(self.as_fd())? && counter::add(self.as_fd(), count)? {
            true => Ok(()),
            false => Err(Errno::AGAIN.into()),
        }
    }

    /// Subtracts one from the count, waiting without a time limit.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)` and `read(2)`.
    pub fn acquire(&self) -> io::Result<()> {
        wait_any(&[self], None).map(drop)
    }

    /// Subtracts one from the count unless it is zero; returns whether it did. Never blocks.
    ///
    /// # Errors
    /// Returns the errors of `read(2)` on an eventfd.
    pub fn try_acquire(&self) -> io::Result<bool> {
        self.take()
    }

    /// Subtracts one from the count, waiting at most `timeout`; returns whether it did.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)` and `read(2)`.
    pub fn acquire_timeout(&self, timeout: Duration) -> io::Result<bool> {
        Ok(wait_any(&[self], Some(timeout))?.is_some())
    }

    /// Returns the count, which may change at any time.
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

    /// Returns a second handle to the same semaphore.
    ///
    /// # Errors
    /// Fails if no descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self).map_err(failed(DUPLICATE))
    }
}

impl Waitable for Semaphore {
    fn handle(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn take(&self) -> io::Result<bool> {
        counter::take(self.as_fd())
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

impl From<OwnedFd> for Semaphore {
    fn from(handle: OwnedFd) -> Self {
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

    #[test]
    fn releasing_a_semaphore_that_a_holder_filled_and_made_blocking_returns() {
        crate::prepare_to_serve();
        let semaphore = std::sync::Arc::new(Semaphore::new(1).unwrap());
        let flags = rustix::fs::OFlags::RDWR;
        rustix::io::write(&*semaphore, &(u64::MAX - 3).to_ne_bytes()).unwrap();
        rustix::fs::fcntl_setfl(&*semaphore, flags).unwrap();
        let (done, is_done) = std::sync::mpsc::channel();
        let releaser = semaphore.clone();
        std::thread::spawn(move || {
            // The count has room for one.
            done.send(releaser.release(2).map_err(|error| error.kind())).unwrap();
            done.send(releaser.release(2).map_err(|error| error.kind())).unwrap();
        });
        let results = [(); 2].map(|()| is_done.recv_timeout(Duration::from_secs(20)));
        // This ends a blocked thread before the assertion fails.
        let _ = rustix::fs::fcntl_setfl(&*semaphore, flags | rustix::fs::OFlags::NONBLOCK);
        (0..4).for_each(|_| drop(semaphore.try_acquire()));
        assert_eq!(results, [Ok(Ok(())), Ok(Err(io::ErrorKind::WouldBlock))]);
    }
}
