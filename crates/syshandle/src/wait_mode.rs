//! Waits of functions that a thread or a task may run: connecting and activation.
//!
//! Such a function is written once, as an `async fn` with a [`WaitMode`]. In a thread each wait
//! blocks, so the future is never pending. In a task the runtime waits, and blocks no thread.

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use syshandle_os::wait_readable;

use crate::sync::wait_until;

/// The caller that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WaitMode {
    Thread,
    /// A task of a tokio runtime with I/O and time enabled.
    #[cfg(feature = "tokio")]
    Task,
}

impl WaitMode {
    /// Waits until a descriptor is readable. Returns `false` at `until`.
    ///
    /// # Errors
    /// No descriptor is left, or the runtime shuts down.
    pub(crate) async fn readable(self, fd: impl AsFd, until: Instant) -> io::Result<bool> {
        match self {
            Self::Thread => wait_until(until, |until| wait_readable(&fd, until)),
            #[cfg(feature = "tokio")]
            Self::Task => syshandle_os::asynchronous::readable(fd.as_fd(), until).await,
        }
    }

    /// Waits for a time.
    pub(crate) async fn pause(self, time: Duration) {
        match self {
            Self::Thread => std::thread::sleep(time),
            #[cfg(feature = "tokio")]
            Self::Task => tokio::time::sleep(time).await,
        }
    }
}

/// Runs a function that waits with [`WaitMode::Thread`].
pub(crate) fn run_on_thread<T>(function: impl Future<Output = T>) -> T {
    match pin!(function).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("each wait blocks the thread"),
    }
}
