//! Events: eventfds.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::EventfdFlags;

use super::counter;
use crate::system_call::failed;

/// Creates an eventfd, which has no reset mode. The Rust type determines whether the event resets
/// itself.
pub(crate) fn create(_manual: bool) -> io::Result<OwnedFd> {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    rustix::event::eventfd(0, flags).map_err(failed("eventfd2"))
}

pub(crate) fn set(event: BorrowedFd<'_>) -> io::Result<()> {
    counter::add(event, 1).map(drop)
}

pub(crate) fn set_unshared(event: BorrowedFd<'_>) -> io::Result<()> {
    counter::write(event, 1).map(drop)
}

pub(crate) fn reset(event: BorrowedFd<'_>) -> io::Result<()> {
    counter::take(event).map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::Duration;

    use rustix::fs::OFlags;

    use super::*;
    use crate::{Event, Object, identify};

    #[test]
    fn setting_a_full_event_returns() {
        let event = Event::new().unwrap();
        rustix::io::write(&event, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        event.set().unwrap();
        assert!(event.poll().unwrap());
    }

    #[test]
    fn setting_an_event_that_a_holder_filled_and_made_blocking_returns() {
        let event = std::sync::Arc::new(Event::new().unwrap());
        event.set().unwrap();
        event.reset().unwrap();
        rustix::fs::fcntl_setfl(&*event, OFlags::RDWR).unwrap();
        rustix::io::write(&*event, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        let (done, is_done) = std::sync::mpsc::channel();
        let setter = event.clone();
        std::thread::spawn(move || done.send(setter.set().is_ok()));
        let result = is_done.recv_timeout(Duration::from_secs(20));
        // Making the event nonblocking and resetting it releases a thread that may be blocked,
        // before the assertion can fail.
        event.reset().unwrap();
        assert_eq!(result, Ok(true));
    }

    #[test]
    fn a_wait_keeps_its_deadline_while_a_holder_takes_what_it_sees() {
        let blocking = Event::from(rustix::event::eventfd(0, EventfdFlags::empty()).unwrap());
        let is_over = std::sync::atomic::AtomicBool::new(false);
        let order = std::sync::atomic::Ordering::Relaxed;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(order) {
                    blocking.set().unwrap();
                    blocking.reset().unwrap();
                }
            });
            let begin = std::time::Instant::now();
            for _ in 0..1000 {
                blocking.wait_timeout(Duration::from_micros(100)).unwrap();
                blocking.poll().unwrap();
            }
            is_over.store(true, order);
            assert!(begin.elapsed() < Duration::from_secs(30));
        });
    }

    #[test]
    fn an_event_that_arrives_blocking_is_polled_without_blocking() {
        let blocking = rustix::event::eventfd(0, EventfdFlags::empty()).unwrap();
        let event = Event::from(blocking);
        assert!(!event.poll().unwrap());
        rustix::io::write(&event, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        event.set().unwrap();
    }

    #[test]
    fn the_kernel_tells_an_event_from_a_semaphore() {
        let event = Event::new().unwrap();
        assert_eq!(identify(event.as_fd()).unwrap().object, Object::Event);
        let semaphore = rustix::event::eventfd(0, EventfdFlags::SEMAPHORE).unwrap();
        assert_eq!(identify(semaphore.as_fd()).unwrap().object, Object::Semaphore);
    }
}
