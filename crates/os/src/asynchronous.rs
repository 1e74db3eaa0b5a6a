//! Waiting without a thread, in a tokio runtime.

use std::io;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::{Readiness, Waitable};

/// Waits until the object can be taken, and takes it. Must run in a tokio runtime with I/O enabled.
///
/// A wait that is dropped before it is done has taken nothing: so a deadline is
/// `tokio::time::timeout` around it, and any or all of several are `select!` and `join!`.
///
/// # Panics
/// Outside of such a runtime.
///
/// # Errors
/// Those of `epoll_ctl(2)`; those of the object's [`Waitable::take`]; no descriptor left.
pub async fn wait(object: &(impl Waitable + ?Sized)) -> io::Result<()> {
    let interest = match object.readiness() {
        Readiness::Readable => Interest::READABLE,
        Readiness::Changed => Interest::PRIORITY,
    };
    // A descriptor of its own: the runtime knows each only once, and another task may wait too.
    let handle = object.handle().try_clone_to_owned()?;
    #[expect(deprecated, reason = "its unsafe replacement wants what an OwnedFd always keeps")]
    let handle = AsyncFd::with_interest(handle, interest)?;
    loop {
        // Before waiting: the runtime tells changes, and it may be ready from before.
        if is_ready(object)? && object.take()? {
            return Ok(());
        }
        handle.ready(interest).await?.clear_ready();
    }
}

/// Whether the kernel says that the object is ready, now.
fn is_ready(object: &(impl Waitable + ?Sized)) -> io::Result<bool> {
    let mut polls = [object.poll_fd()];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(match object.readiness() {
        // Looking is all that can be done, and does no harm.
        Readiness::Changed => true,
        Readiness::Readable => rustix::event::poll(&mut polls, Some(&now))? > 0,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Event, ManualEvent, Process, Semaphore, Timer};

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn an_event_set_before_or_after_ends_the_wait() {
        run(async {
            let event = Event::new().unwrap();
            event.set().unwrap();
            wait(&event).await.unwrap();
            assert!(!event.poll().unwrap());
            let (waited, set) = tokio::join!(wait(&event), async { event.set() });
            waited.and(set).unwrap();
        });
    }

    #[test]
    fn two_tasks_wait_for_the_same_object() {
        run(async {
            let semaphore = Semaphore::new(0).unwrap();
            let release = async { semaphore.release(2) };
            let (a, b, released) = tokio::join!(wait(&semaphore), wait(&semaphore), release);
            a.and(b).and(released).unwrap();
            assert!(!semaphore.try_acquire().unwrap());
        });
    }

    #[test]
    fn objects_of_several_types_are_waited_for_alike() {
        run(async {
            let (event, timer) = (Event::new().unwrap(), Timer::new().unwrap());
            event.set().unwrap();
            timer.once(Duration::from_millis(1)).unwrap();
            let objects: [Box<dyn Waitable>; 2] = [Box::new(event), Box::new(timer)];
            for object in &objects {
                wait(&**object).await.unwrap();
            }
        });
    }

    #[test]
    fn a_wait_that_is_dropped_takes_nothing() {
        run(async {
            let event = Event::new().unwrap();
            let dropped = tokio::time::timeout(Duration::from_millis(1), wait(&event)).await;
            assert!(dropped.is_err());
            event.set().unwrap();
            assert!(event.poll().unwrap());
        });
    }

    #[test]
    fn timers_processes_and_manual_events_end_a_wait_too() {
        run(async {
            let timer = Timer::new().unwrap();
            timer.once(Duration::from_millis(1)).unwrap();
            wait(&timer).await.unwrap();
            let event = ManualEvent::new().unwrap();
            event.set().unwrap();
            wait(&event).await.unwrap();
            let mut child = std::process::Command::new("true").spawn().unwrap();
            wait(&Process::of(&child).unwrap()).await.unwrap();
            child.wait().unwrap();
        });
    }
}
