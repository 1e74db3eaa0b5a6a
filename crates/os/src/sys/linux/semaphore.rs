//! Semaphores, which are eventfds with `EFD_SEMAPHORE`.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::EventfdFlags;

use super::{counter, device, fdinfo};
use crate::system_call::failed;

pub(crate) fn create(count: u32) -> io::Result<OwnedFd> {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE;
    rustix::event::eventfd(count, flags).map_err(failed("eventfd2"))
}

/// Adds to the counter. Returns `false` if it is full.
pub(crate) fn release(semaphore: BorrowedFd<'_>, count: u32) -> io::Result<bool> {
    Ok(counter::has_room(semaphore)? && counter::add(semaphore, count)?)
}

pub(crate) fn count(semaphore: BorrowedFd<'_>) -> io::Result<u64> {
    let mut room = fdinfo::Room::new();
    let info = fdinfo::read(semaphore, &device::stat(semaphore)?, &mut room)?;
    info.value("eventfd-count:")
        .and_then(|count| u64::from_str_radix(count, 16).ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no eventfd"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Semaphore;

    #[test]
    fn the_count_is_what_was_released_and_not_acquired() {
        let semaphore = Semaphore::new(0).unwrap();
        semaphore.release(3).unwrap();
        assert_eq!(semaphore.count().unwrap(), 3);
        semaphore.acquire().unwrap();
        assert_eq!(semaphore.try_clone().unwrap().count().unwrap(), 2);
    }

    #[test]
    fn releasing_a_semaphore_that_a_holder_filled_and_made_blocking_returns() {
        crate::prepare_to_serve(true);
        let semaphore = std::sync::Arc::new(Semaphore::new(1).unwrap());
        let flags = rustix::fs::OFlags::RDWR;
        rustix::io::write(&*semaphore, &(u64::MAX - 3).to_ne_bytes()).unwrap();
        rustix::fs::fcntl_setfl(&*semaphore, flags).unwrap();
        let (done, is_done) = std::sync::mpsc::channel();
        let releaser = semaphore.clone();
        std::thread::spawn(move || {
            // The counter is one below its maximum.
            done.send(releaser.release(2).map_err(|error| error.kind())).unwrap();
            done.send(releaser.release(2).map_err(|error| error.kind())).unwrap();
        });
        let results = [(); 2].map(|()| is_done.recv_timeout(Duration::from_secs(20)));
        // Releases a thread that may be blocked, before the assertion can fail.
        let _ = rustix::fs::fcntl_setfl(&*semaphore, flags | rustix::fs::OFlags::NONBLOCK);
        (0..4).for_each(|_| drop(semaphore.try_acquire()));
        assert_eq!(results, [Ok(Ok(())), Ok(Err(io::ErrorKind::WouldBlock))]);
    }
}
