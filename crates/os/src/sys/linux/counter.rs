//! The counter of an eventfd that untrusted processes also have open.
//!
//! Any holder can fill the counter, empty it, and switch the open file description to blocking mode
//! at any time. The functions of this module don't block even then.

use std::io::{self, IoSliceMut};
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::{Errno, ReadWriteFlags};

use crate::sys::aio::Context;
use crate::sys::fork::PerProcess;

/// Adds to the counter. Returns `false` if it is full.
///
/// Never blocks, except if [`context`] returns `None` or `count` is greater than [`SIGNALS_MAX`].
/// Then this is a `write(2)`, which blocks if another holder switches the eventfd to blocking mode
/// and fills the counter after this function has checked it.
pub(crate) fn add(eventfd: BorrowedFd<'_>, count: u32) -> io::Result<bool> {
    match context() {
        Some(context) if count <= SIGNALS_MAX => signal(context, eventfd, count),
        _ => write(eventfd, count),
    }
}

fn signal(context: &Context, eventfd: BorrowedFd<'_>, count: u32) -> io::Result<bool> {
    let mut left = count as usize;
    for _ in 0..TRIES {
        while left > 0 {
            let Ok(added) = context.signal(eventfd, left) else { break };
            left -= added;
        }
        if left == 0 {
            return Ok(true);
        }
        // Retries, because other threads may use the freed capacity first.
        let _ = context.take_completions();
    }
    write(eventfd, left as u32)
}

/// Adds to the counter by `write(2)`. Returns `false` if it is full.
pub(crate) fn write(eventfd: BorrowedFd<'_>, count: u32) -> io::Result<bool> {
    // This call can't fail on an eventfd. For other objects, this function guarantees nothing.
    let _ = rustix::fs::fcntl_setfl(eventfd, OFlags::RDWR | OFlags::NONBLOCK);
    while has_room(eventfd)? {
        match rustix::io::write(eventfd, &u64::from(count).to_ne_bytes()) {
            Ok(_) => return Ok(true),
            Err(Errno::AGAIN) => break,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// Returns whether the counter is below its maximum.
pub(crate) fn has_room(eventfd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut polls = [PollFd::from_borrowed_fd(eventfd, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut polls, Some(&now)))?;
    Ok(polls[0].revents().contains(PollFlags::OUT))
}

/// Sets an event's counter to zero, or subtracts one from a semaphore's. Returns `false` if it is
/// already zero. Never blocks.
pub(crate) fn take(eventfd: BorrowedFd<'_>) -> io::Result<bool> {
    loop {
        let mut count = [0; 8];
        let buffers = &mut [IoSliceMut::new(&mut count)];
        match rustix::io::preadv2(eventfd, buffers, CURRENT, ReadWriteFlags::NOWAIT) {
            Ok(_) => return Ok(true),
            Err(Errno::AGAIN) => return Ok(false),
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Returns the AIO context of this process. Returns `None` if the process does not serve peers, or
/// if the system does not provide one.
///
/// A process with a context takes 30 ms longer to end, because the kernel waits for all cores.
fn context() -> Option<&'static Context> {
    static CONTEXT: PerProcess<OnceLock<Option<Context>>> = PerProcess::new();
    if !SERVES.load(Ordering::Relaxed) {
        return None;
    }
    CONTEXT.get()?.get_or_init(|| Context::new().ok()).as_ref()
}

/// Makes [`add`] use asynchronous requests instead of `write(2)` from now on.
pub(crate) fn serve() {
    SERVES.store(true, Ordering::Relaxed);
}

static SERVES: AtomicBool = AtomicBool::new(false);

/// Maximum number of requests per call of [`add`]. More would take longer than a millisecond.
const SIGNALS_MAX: u32 = 4096;

/// Number of attempts to make room for requests before `write(2)` is used.
const TRIES: u32 = 16;

/// Offset argument of `preadv2` that stands for the current file offset.
const CURRENT: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};
    use std::sync::Arc;
    use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
    use std::time::{Duration, Instant};

    use rustix::event::{EventfdFlags, eventfd};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn new_context() -> Option<Context> {
        let context = Context::new();
        if let Err(error) = &context {
            println!("skipped: the system provides no requests: {error}");
        }
        context.ok()
    }

    /// Runs `add_often` on another thread while this thread keeps filling the counter.
    fn while_a_holder_fills(
        eventfd: OwnedFd,
        add_often: impl FnOnce(BorrowedFd<'_>) + Send + 'static,
    ) {
        let eventfd = Arc::new(eventfd);
        let (done, is_done) = channel();
        let adder = eventfd.clone();
        let run = move |done: Sender<()>| {
            add_often(adder.as_fd());
            done.send(())
        };
        std::thread::spawn(move || run(done));
        let deadline = Instant::now() + LONG;
        loop {
            let _ = rustix::fs::fcntl_setfl(&*eventfd, OFlags::RDWR | OFlags::NONBLOCK);
            for count in [u64::MAX - 1, 1] {
                let _ = rustix::io::write(&*eventfd, &count.to_ne_bytes());
            }
            let _ = rustix::fs::fcntl_setfl(&*eventfd, OFlags::RDWR);
            match is_done.recv_timeout(Duration::from_nanos(1)) {
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                ended => return assert_eq!(ended, Ok(()), "an addition blocked"),
            }
        }
    }

    #[test]
    fn adding_never_blocks_while_another_holder_changes_the_counter() {
        for flags in [EventfdFlags::empty(), EventfdFlags::SEMAPHORE] {
            let Some(context) = new_context() else { return };
            while_a_holder_fills(eventfd(0, flags).unwrap(), move |eventfd| {
                for _ in 0..50_000 {
                    // Empties the counter, so that one can be added again.
                    take(eventfd).unwrap();
                    assert!(signal(&context, eventfd, 1).unwrap());
                }
            });
        }
    }

    #[test]
    fn a_count_that_is_added_in_parts_is_added_whole() {
        let Some(context) = new_context() else { return };
        let semaphore = eventfd(0, EventfdFlags::SEMAPHORE).unwrap();
        for count in [0, 1, 63, 64, 65, 1000, SIGNALS_MAX] {
            assert!(signal(&context, semaphore.as_fd(), count).unwrap());
            let taken = std::iter::from_fn(|| take(semaphore.as_fd()).unwrap().then_some(()));
            assert_eq!(taken.count(), count as usize);
        }
    }

    #[test]
    fn additions_of_many_threads_are_all_made() {
        let Some(context) = new_context() else { return };
        let semaphore = eventfd(0, EventfdFlags::SEMAPHORE).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let add = || assert!(signal(&context, semaphore.as_fd(), 3).unwrap());
                scope.spawn(move || (0..500).for_each(|_| add()));
            }
        });
        let taken = std::iter::from_fn(|| take(semaphore.as_fd()).unwrap().then_some(()));
        assert_eq!(taken.count(), 8 * 500 * 3);
    }

    #[test]
    fn without_requests_a_full_count_is_found_before_it_is_written_to() {
        let eventfd = eventfd(0, EventfdFlags::empty()).unwrap();
        rustix::io::write(&eventfd, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        assert!(!write(eventfd.as_fd(), 1).unwrap());
        assert!(take(eventfd.as_fd()).unwrap());
        assert!(write(eventfd.as_fd(), 1).unwrap());
        assert!(take(eventfd.as_fd()).unwrap() && !take(eventfd.as_fd()).unwrap());
    }
}
