//! Locks, threads and a clock for tests that explore the interleavings of threads.
//!
//! A scheduler selects the next thread at each lock, each shared atomic and each wait. Code that
//! would wait in the kernel polls instead, and lets other threads run until it has a result. A
//! thread that waits forever exceeds the limit of steps, which fails the test. The clock advances
//! by a microsecond with each read, and a sleeping thread advances it to the end of its sleep. So a
//! deadline can pass between any two steps, and each run can be repeated.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use syshandle_os::{ManualEvent, PollEvent, Poller, WaitOutcome};

pub(crate) use shuttle::sync::{Mutex, MutexGuard};
use shuttle::thread_local;

pub(crate) mod atomic {
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
}

pub(crate) mod thread {
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{TestClock, now};

    pub(crate) use shuttle::thread::{ThreadId, yield_now};

    /// A handle to a thread. The thread type of the scheduler library isn't used, because its
    /// threads wake spuriously, which would hide missing wake-ups.
    #[derive(Clone, Debug)]
    pub(crate) struct Thread {
        id: ThreadId,
        woken: Arc<super::atomic::AtomicBool>,
    }

    impl Thread {
        pub(crate) fn id(&self) -> ThreadId {
            self.id
        }

        pub(crate) fn unpark(&self) {
            self.woken.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }

    super::thread_local! {
        static CURRENT: Thread =
            Thread { id: shuttle::thread::current().id(), woken: Arc::default() };
    }

    pub(crate) fn current() -> Thread {
        CURRENT.with(Thread::clone)
    }

    pub(crate) fn park_timeout(time: Duration) {
        let (woken, end) = (current().woken, now().checked_add(time));
        while !woken.swap(false, std::sync::atomic::Ordering::SeqCst) {
            if end.is_some_and(|end| now() >= end) {
                return;
            }
            yield_now();
        }
    }

    pub(crate) fn sleep(time: Duration) {
        let end = now() + time;
        yield_now();
        TestClock::advance_to(end);
    }

    pub(crate) fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
        let started = shuttle::thread::Builder::new().name(name.into()).spawn(run)?;
        Ok(Thread { id: started.thread().id(), woken: Arc::default() })
    }
}

/// Runs `test` repeatedly, each time with another interleaving of its threads. The first runs
/// switch threads at random. The others switch threads only a few times, at random places, which
/// finds errors that need one thread to be delayed for long. Runs until the time is over, with the
/// same interleavings each time. `SYSHANDLE_TEST_FORM=full` runs more, and other ones.
pub(crate) fn explore(test: impl Fn() + Send + Sync + 'static) {
    let full = std::env::var("SYSHANDLE_TEST_FORM").is_ok_and(|form| form == "full");
    let (times, seed) = match full {
        true => (100_000, u64::from(std::process::id())),
        false => (300, 7),
    };
    let mut config = shuttle::Config::new();
    config.stack_size = STACK_SIZE;
    config.max_steps = shuttle::MaxSteps::FailAfter(STEPS_MAX);
    config.max_time = Some(Duration::from_millis(if full { 60_000 } else { 700 }));
    // A failed run can be repeated with its seed, so no file is written.
    config.failure_persistence = shuttle::FailurePersistence::None;
    config.silence_warnings = true;
    let test = move || {
        CLOCK.set(None);
        test();
    };
    let test = std::sync::Arc::new(test);
    let run = test.clone();
    let random = RandomScheduler::new_from_seed(seed, times);
    shuttle::Runner::new(random, config.clone()).run(move || run());
    let few = PctScheduler::new_from_seed(seed, 3, times);
    shuttle::Runner::new(few, config).run(move || test());
}

/// Runs a test of one thread.
pub(crate) fn run_once(test: impl Fn() + Send + Sync + 'static) {
    let mut config = shuttle::Config::new();
    config.stack_size = STACK_SIZE;
    shuttle::Runner::new(RandomScheduler::new_from_seed(0, 1), config).run(test);
}

/// Size of the stack of each thread. The server's code has large frames.
const STACK_SIZE: usize = 1024 * 1024;

/// Limit of steps. A thread that takes more is considered to wait forever.
const STEPS_MAX: usize = 100_000;

/// The simulated clock of a run. Each run uses one OS thread.
pub(crate) struct TestClock;

impl TestClock {
    const LEN: Duration = Duration::from_micros(1);

    pub(crate) fn advance_to(time: Instant) {
        CLOCK.set(Some(now().max(time)));
    }
}

std::thread_local! {
    static CLOCK: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs the function of a thread. Panics are not caught, because the scheduler unwinds threads
/// itself.
pub(crate) fn contain<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    Ok(run())
}

/// Returns 1, so that short tests also reach the behaviour for usual events.
pub(crate) const fn often(_times: u32) -> u32 {
    1
}

/// Returns the time unchanged: the clock of the tests advances only where a test says so.
pub(crate) const fn judged_by(time: Duration) -> Duration {
    time
}

/// Returns a constant time at which spinning is always retried.
pub(crate) fn uptime() -> Duration {
    Duration::ZERO
}

pub(crate) fn now() -> Instant {
    let now = CLOCK.get().map_or_else(Instant::now, |last| last + TestClock::LEN);
    CLOCK.set(Some(now));
    now
}

pub(crate) fn wait_until<T: WaitResult>(
    deadline: Instant,
    mut wait: impl FnMut(Instant) -> io::Result<T>,
) -> io::Result<T> {
    loop {
        thread::yield_now();
        let outcome = wait(Instant::now())?;
        if !outcome.is_late() || now() >= deadline {
            return Ok(outcome);
        }
        TestClock::advance_to(now() + TestClock::LEN * 1000);
    }
}

/// Receives with `receive`. Like a wait in the kernel, the wait may end early.
pub(crate) fn receive_within<T>(
    timeout: Option<Duration>,
    mut receive: impl FnMut(Option<Duration>) -> io::Result<T>,
) -> io::Result<T> {
    let end = timeout.map(|timeout| now() + timeout.min(TestClock::LEN * 20));
    loop {
        match receive(None) {
            Err(error)
                if error.kind() == io::ErrorKind::WouldBlock
                    && end.is_some_and(|end| now() < end) =>
            {
                thread::yield_now();
            }
            result => return result,
        }
    }
}

pub(crate) fn wait_for_ready(poller: &Poller, ready: &mut Vec<PollEvent>) -> io::Result<()> {
    loop {
        thread::yield_now();
        if poller.look(ready)? > 0 {
            return Ok(());
        }
    }
}

pub(crate) fn wait_for_event(event: &ManualEvent) -> io::Result<()> {
    while !event.poll()? {
        thread::yield_now();
    }
    Ok(())
}

/// All threads of a test share one thread of the system, so no thread has a function of its own.
/// The watchdog does the same, later.
pub(crate) struct BeforeWait;

/// What a thread waits for, as in `sync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(dead_code, reason = "no thread has a function of its own")]
pub(crate) enum WaitFor {
    Other,
    Stream,
}

/// Does nothing. The watchdog gives the loop away.
pub(crate) fn before_stream_wait() {}

impl BeforeWait {
    pub(crate) fn call(_function: impl Fn(WaitFor) + 'static) -> Self {
        Self
    }
}

/// A cell that is initialized once. Other threads wait for the initialization as for a lock.
#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    filling: Mutex<()>,
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self { value: std::sync::OnceLock::new(), filling: Mutex::new(()) }
    }
}

impl<T> OnceLock<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        self.value.get()
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        let _filling = self.filling.lock();
        if self.value.get().is_none() {
            let made = make();
            return self.value.get_or_init(|| made);
        }
        self.value.get_or_init(|| unreachable!("it is filled"))
    }
}

/// The result of a wait in the kernel.
pub(crate) trait WaitResult {
    /// Returns whether the wait timed out.
    fn is_late(&self) -> bool;
}

impl WaitResult for bool {
    fn is_late(&self) -> bool {
        !self
    }
}

impl WaitResult for () {
    fn is_late(&self) -> bool {
        false
    }
}

impl WaitResult for WaitOutcome {
    fn is_late(&self) -> bool {
        *self == Self::TimedOut
    }
}
