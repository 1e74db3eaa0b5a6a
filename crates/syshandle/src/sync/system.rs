//! The standard library's, and the kernel's.

use std::io;
use std::time::{Duration, Instant};

use syshandle_os::{ManualEvent, Poller, Ready, Waitable};

pub(crate) use syshandle_os::uptime;

pub(crate) use std::sync::{Mutex, MutexGuard, OnceLock};

pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
}

pub(crate) mod thread {
    use std::io;

    pub(crate) use std::thread::{Thread, ThreadId, current, park_timeout, yield_now};

    /// Starts a thread that nobody joins.
    pub(crate) fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
        let started = std::thread::Builder::new().name(name.into()).spawn(run);
        let started = started.map_err(|error| {
            let text = format!(
                "no thread can be started: {error} (limits: RLIMIT_NPROC, and pids.max of the \
                 control group; a seccomp filter may forbid it)"
            );
            io::Error::new(error.kind(), text)
        })?;
        Ok(started.thread().clone())
    }
}

/// How often something must happen before it is usual.
pub(crate) const fn often(times: u32) -> u32 {
    times
}

/// Runs a thread's work; a panic ends here, and its text is returned.
pub(crate) fn contain<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    crate::guard::guard(run)
}

/// What time it is.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits in the kernel until the deadline that `wait` is given.
pub(crate) fn wait_until<T>(
    deadline: Instant,
    mut wait: impl FnMut(Instant) -> io::Result<T>,
) -> io::Result<T> {
    wait(deadline)
}

/// Receives with `receive`, which waits for as long as it is told, or not at all.
#[inline(always)]
pub(crate) fn receive_within<T>(
    patience: Option<Duration>,
    mut receive: impl FnMut(Option<Duration>) -> io::Result<T>,
) -> io::Result<T> {
    receive(patience)
}

/// Waits for what is ready.
pub(crate) fn wait_for_ready(poller: &Poller, ready: &mut Vec<Ready>) -> io::Result<()> {
    poller.wait(ready)
}

/// The same, or for an object beside it: whether that one may be taken now.
pub(crate) fn wait_beside(
    poller: &Poller,
    object: &dyn Waitable,
    ready: &mut Vec<Ready>,
) -> io::Result<bool> {
    poller.wait_beside(object, ready)
}

/// Waits for an event, for as long as it takes.
pub(crate) fn wait_for_event(event: &ManualEvent) -> io::Result<()> {
    event.wait()
}
