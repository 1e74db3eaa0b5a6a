//! Synchronization, waits and the clock for threads of clients and servers.
//!
//! All interaction between threads goes through this module. The crate's own tests replace it by
//! `test_sync`: they run the real client and the real reactor under a scheduler that chooses the
//! next thread, and with a clock that the scheduler drives.

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use syshandle_os::{ManualEvent, PollEvent, Poller};

pub(crate) use syshandle_os::uptime;

pub(crate) use std::sync::{Mutex, MutexGuard, OnceLock};

pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
}

pub(crate) mod thread {
    use std::io;

    pub(crate) use std::thread::{Thread, current, park_timeout, yield_now};

    /// Starts a detached thread.
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

/// Returns the number of occurrences after which the runtime treats an event as usual.
pub(crate) const fn often(times: u32) -> u32 {
    times
}

/// Returns a time by which the runtime judges the speed of user code or the rate of calls.
///
/// A tool that counts instructions slows a program down by a factor that depends on the load of the
/// machine. With `--cfg syshandle_untimed`, nothing takes long enough to be judged slow, so that two
/// runs execute the same code. Only `cargo xtask bench count` builds the library with this setting.
pub(crate) const fn judged_by(time: Duration) -> Duration {
    if cfg!(syshandle_untimed) { Duration::from_secs(3600) } else { time }
}

/// Runs the function of a thread. Catches a panic, and returns its message.
pub(crate) fn contain<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    crate::guard::guard(run)
}

/// Returns the current time.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits in the kernel until `deadline`.
pub(crate) fn wait_until<T>(
    deadline: Instant,
    mut wait: impl FnMut(Instant) -> io::Result<T>,
) -> io::Result<T> {
    before_wait();
    wait(deadline)
}

/// Receives with `receive`. If there is a timeout, `receive` waits up to that time. Otherwise it
/// returns at once.
#[inline(always)]
pub(crate) fn receive_within<T>(
    timeout: Option<Duration>,
    mut receive: impl FnMut(Option<Duration>) -> io::Result<T>,
) -> io::Result<T> {
    if timeout.is_some() {
        before_wait();
    }
    receive(timeout)
}

thread_local! {
    static BEFORE_WAIT: RefCell<Option<BeforeWaitFn>> = const { RefCell::new(None) };
}

type BeforeWaitFn = Box<dyn Fn(WaitFor)>;

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitFor {
    /// A frame of another connection, or an object.
    Other,
    /// The stream of a connection, whose frames this thread may have to receive.
    Stream,
}

/// The function that a thread calls before it waits, until this value is dropped.
#[must_use]
pub(crate) struct BeforeWait(());

impl BeforeWait {
    /// Has this thread call a function before each wait.
    ///
    /// A method may call another object, and that object may be served by the loop whose thread
    /// runs the method. So a thread that runs a loop gives the loop away before it waits. Clients
    /// and servers don't know each other, so they meet here.
    pub(crate) fn call(function: impl Fn(WaitFor) + 'static) -> Self {
        BEFORE_WAIT.with(|place| *place.borrow_mut() = Some(Box::new(function)));
        Self(())
    }
}

impl Drop for BeforeWait {
    fn drop(&mut self) {
        drop(BEFORE_WAIT.with(RefCell::take));
    }
}

#[inline]
fn before_wait() {
    before(WaitFor::Other);
}

/// Prepares a wait for a stream of a server's connection.
pub(crate) fn before_stream_wait() {
    before(WaitFor::Stream);
}

fn before(wait: WaitFor) {
    // A thread that ends has no such function any more.
    let _ = BEFORE_WAIT.try_with(|place| {
        if let Some(function) = &*place.borrow() {
            function(wait);
        }
    });
}

/// Waits until an object of the poller is ready.
pub(crate) fn wait_for_ready(poller: &Poller, ready: &mut Vec<PollEvent>) -> io::Result<()> {
    poller.wait(ready)
}

/// Waits for an event without a time limit.
pub(crate) fn wait_for_event(event: &ManualEvent) -> io::Result<()> {
    event.wait()
}
