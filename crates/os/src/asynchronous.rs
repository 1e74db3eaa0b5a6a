//! Waits for objects in a tokio runtime, without blocking a thread.

use std::future::poll_fn;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::{Readiness, Waitable};

/// Waits until the object is ready, and takes it: an event that resets itself is unset, for
/// example. Must run in a tokio runtime with I/O enabled.
///
/// Dropping the future before it completes takes nothing, so `tokio::time::timeout` can limit the
/// wait. [`wait_any`] and [`wait_all`] wait for several objects.
///
/// # Panics
/// Panics outside of a tokio runtime with I/O enabled.
///
/// # Errors
/// Returns the errors of `epoll_ctl(2)` and of the object's [`Waitable::take`]. Fails if this
/// process can't open more file descriptors.
pub async fn wait(object: &(impl Waitable + ?Sized)) -> io::Result<()> {
    let interest = match object.readiness() {
        Readiness::Readable => Interest::READABLE,
        Readiness::Changed => Interest::PRIORITY,
    };
    // Uses a duplicate, because the runtime registers each descriptor only once and another task
    // may wait for the same object.
    let handle = object.handle().try_clone_to_owned()?;
    #[expect(deprecated, reason = "the replacement is unsafe without need")]
    let handle = AsyncFd::with_interest(handle, interest)?;
    loop {
        // Checks the object before the first wait, because it may already be ready and the runtime
        // reports only changes.
        if is_ready(object)? && object.take()? {
            return Ok(());
        }
        handle.ready(interest).await?.clear_ready();
    }
}

/// Descriptor that a tokio runtime watches.
#[derive(Debug)]
#[doc(hidden)]
pub struct WatchedFd(AsyncFd<OwnedFd>);

impl WatchedFd {
    /// Watches a duplicate of a descriptor until it is readable. Must be called in a tokio runtime
    /// with I/O enabled.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// Returns the errors of `epoll_ctl(2)`; fails if no descriptor is left.
    pub fn to_read(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Self::new(fd, Interest::READABLE)
    }

    /// Watches a duplicate of a descriptor until it is writable, like [`Self::to_read`].
    ///
    /// # Panics
    /// Panics outside of a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// Returns the errors of [`Self::to_read`].
    pub fn to_write(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Self::new(fd, Interest::WRITABLE)
    }

    fn new(fd: BorrowedFd<'_>, interest: Interest) -> io::Result<Self> {
        let fd = fd.try_clone_to_owned()?;
        #[expect(deprecated, reason = "its unsafe replacement wants what an OwnedFd always keeps")]
        AsyncFd::with_interest(fd, interest).map(Self)
    }

    /// Calls `read` if the descriptor may be readable. Waits for the kernel's next report if `read`
    /// returns that nothing is left to read.
    ///
    /// # Errors
    /// The runtime shuts down.
    pub fn poll_readable(
        &self,
        context: &mut task::Context<'_>,
        read: impl FnOnce() -> bool,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read_ready(context).map_ok(|mut ready| {
            if read() {
                ready.clear_ready();
            }
        })
    }

    /// Returns whether the kernel has reported that the descriptor is writable, or that its other
    /// end is closed.
    ///
    /// # Errors
    /// The runtime shuts down.
    pub fn poll_writable(&self, context: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(context).map_ok(drop)
    }
}

/// Waits until a descriptor is readable, or until `deadline`. Returns `false` at the deadline. Must
/// run in a tokio runtime with I/O and time enabled.
///
/// # Panics
/// Panics outside of such a runtime.
///
/// # Errors
/// Returns the errors of [`WatchedFd::to_read`]. The runtime shuts down.
#[doc(hidden)]
pub async fn readable(fd: BorrowedFd<'_>, deadline: Instant) -> io::Result<bool> {
    let fd = WatchedFd::to_read(fd)?;
    let readable = poll_fn(|context| fd.poll_readable(context, || false));
    tokio::time::timeout_at(deadline.into(), readable)
        .await
        .map_or(Ok(false), |ready| ready.map(|()| true))
}

/// Waits until one of the objects is ready, and takes it. If several are ready, takes the first of
/// them in the list.
///
/// Returns the index of the object, or `None` if `timeout` passes first. Without a timeout, waits
/// indefinitely. With a timeout, the runtime also needs its timer enabled. Dropping the future
/// takes nothing.
///
/// # Panics
/// Panics under the same conditions as [`wait`].
///
/// # Errors
/// Returns the errors of [`wait`]. Returns `InvalidInput` for an empty list without a timeout,
/// because that wait would never end.
///
/// # Examples
///
/// ```
/// use syshandle_os::{Event, Process, asynchronous};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let (done, worker) = (Event::new()?, Process::current()?);
/// done.set()?;
/// assert_eq!(asynchronous::wait_any(&[&done, &worker], None).await?, Some(0));
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn wait_any(
    objects: &[&(dyn Waitable + Sync)],
    timeout: Option<Duration>,
) -> io::Result<Option<usize>> {
    if objects.is_empty() && timeout.is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is nothing to wait for"));
    }
    let mut waits = Waits::new(objects);
    within(timeout, poll_fn(|context| waits.poll_any(context))).await.transpose()
}

/// Waits until all objects have been taken. Returns the indices of the objects that were not taken
/// before `timeout` passed, so an empty list means success. Without a timeout, waits indefinitely.
/// With a timeout, the runtime also needs its timer enabled.
///
/// Takes each object as soon as it is ready, independently of the others. A taken object remains
/// taken after a timeout and if the future is dropped.
///
/// # Panics
/// Panics under the same conditions as [`wait`].
///
/// # Errors
/// Returns the errors of [`wait`].
pub async fn wait_all(
    objects: &[&(dyn Waitable + Sync)],
    timeout: Option<Duration>,
) -> io::Result<Vec<usize>> {
    let mut waits = Waits::new(objects);
    let all = poll_fn(|context| {
        while !waits.0.is_empty() {
            match waits.poll_any(context) {
                Poll::Ready(taken) => drop(taken?),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok::<(), io::Error>(()))
    });
    within(timeout, all).await.transpose()?;
    Ok(waits.0.into_iter().map(|(index, _)| index).collect())
}

/// Returns the output of a future, or `None` if the timeout passes first.
async fn within<T>(timeout: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match timeout {
        Some(timeout) => tokio::time::timeout(timeout, future).await.ok(),
        None => Some(future.await),
    }
}

/// The pending waits for several objects in list order, each with the index of its object.
struct Waits<'a>(Vec<(usize, Wait<'a>)>);

type Wait<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;

impl<'a> Waits<'a> {
    fn new(objects: &[&'a (dyn Waitable + Sync)]) -> Self {
        let begin = |(index, &object): (usize, &&'a (dyn Waitable + Sync))| {
            (index, Box::pin(wait(object)) as Wait<'a>)
        };
        Self(objects.iter().enumerate().map(begin).collect())
    }

    /// Polls the waits, and removes and returns the first one that is complete.
    fn poll_any(&mut self, context: &mut task::Context<'_>) -> Poll<io::Result<usize>> {
        for place in 0..self.0.len() {
            let (index, wait) = &mut self.0[place];
            let index = *index;
            if let Poll::Ready(result) = wait.as_mut().poll(context) {
                drop(self.0.remove(place));
                return Poll::Ready(result.map(|()| index));
            }
        }
        Poll::Pending
    }
}

/// Returns whether the object may be ready now. `false` means that the kernel reports it as not
/// ready.
fn is_ready(object: &(impl Waitable + ?Sized)) -> io::Result<bool> {
    let mut polls = [object.poll_fd()];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(match object.readiness() {
        // Polling can't tell whether the content has changed, so the caller has to try to take the
        // object. That has no effect if the content has not changed.
        Readiness::Changed => true,
        Readiness::Readable => rustix::event::poll(&mut polls, Some(&now))? > 0,
    })
}

#[cfg(test)]
mod tests {
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
    fn the_first_of_several_is_taken_and_the_others_left() {
        run(async {
            let (a, b, c) = (Event::new().unwrap(), Event::new().unwrap(), Event::new().unwrap());
            b.set().unwrap();
            c.set().unwrap();
            assert_eq!(wait_any(&[&a, &b, &c], None).await.unwrap(), Some(1));
            assert_eq!(wait_any(&[&a, &b, &c], None).await.unwrap(), Some(2));
            assert_eq!(wait_any(&[&a, &b], Some(Duration::ZERO)).await.unwrap(), None);
            let objects: [&(dyn Waitable + Sync); 2] = [&a, &b];
            let (taken, set) = tokio::join!(wait_any(&objects, None), async { a.set() });
            set.unwrap();
            assert_eq!(taken.unwrap(), Some(0));
            assert_eq!(wait_any(&[], None).await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert_eq!(wait_any(&[], Some(Duration::ZERO)).await.unwrap(), None);
        });
    }

    #[test]
    fn wait_all_accepts_any_order_of_signals() {
        run(async {
            let (a, b) = (Event::new().unwrap(), Semaphore::new(0).unwrap());
            let objects: [&(dyn Waitable + Sync); 2] = [&a, &b];
            let (left, signalled) =
                tokio::join!(wait_all(&objects, None), async { b.release(1).and(a.set()) });
            signalled.unwrap();
            assert!(left.unwrap().is_empty());
            b.release(1).unwrap();
            assert_eq!(wait_all(&[&a, &b], Some(Duration::from_millis(1))).await.unwrap(), [0]);
            assert!(!b.try_acquire().unwrap());
            assert_eq!(wait_all(&[], None).await.unwrap(), []);
        });
    }

    #[test]
    fn a_wait_for_several_can_be_another_task() {
        run(async {
            let event = std::sync::Arc::new(Event::new().unwrap());
            let waited = event.clone();
            let task = tokio::spawn(async move { wait_any(&[&*waited], None).await });
            event.set().unwrap();
            assert_eq!(task.await.unwrap().unwrap(), Some(0));
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
