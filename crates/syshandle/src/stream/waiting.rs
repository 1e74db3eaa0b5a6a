//! Waits of threads for a stream.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        use std::thread;

        fn park_until(until: Instant) {
            thread::park_timeout(until.saturating_duration_since(Instant::now()));
        }

        fn now() -> Instant {
            Instant::now()
        }
    } else {
        use crate::sync::{now, thread, wait_until};

        /// Parks the thread, which first gives its event loop away if it runs one.
        fn park_until(until: Instant) {
            let parked = wait_until(until, |until| {
                thread::park_timeout(until.saturating_duration_since(now()));
                Ok(())
            });
            debug_assert!(parked.is_ok(), "parking does not fail");
        }
    }
}

/// Blocks the thread until `poll` is ready. Returns `None` at `until`.
pub(super) fn block_until<R>(
    until: Instant,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
) -> Option<R> {
    if let Poll::Ready(result) = poll(&mut Context::from_waker(Waker::noop())) {
        return Some(result);
    }
    // A thread always uses the same waker, so that waits which time out leave one waker and not
    // many.
    let waker = THREAD_WAKER
        .try_with(Waker::clone)
        .unwrap_or_else(|_| Waker::from(Arc::new(ThreadWaker(thread::current()))));
    loop {
        if let Poll::Ready(result) = poll(&mut Context::from_waker(&waker)) {
            return Some(result);
        }
        if now() >= until {
            return None;
        }
        park_until(until);
    }
}

thread_local! {
    static THREAD_WAKER: Waker = Waker::from(Arc::new(ThreadWaker(thread::current())));
}

/// Wakes a thread that is parked.
struct ThreadWaker(thread::Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// The threads and tasks that wait for the same event.
#[derive(Debug, Default)]
pub(super) struct Wakers(Vec<Waker>);

impl Wakers {
    /// Adds a waker, unless it is there already.
    pub(super) fn add(&mut self, waker: &Waker) {
        if !self.0.iter().any(|known| known.will_wake(waker)) {
            self.0.push(waker.clone());
        }
    }

    /// Takes all wakers. The caller wakes them without a lock, because a waker may run any code.
    #[must_use]
    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(super) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}
