//! A running server: its event loops, the threads that run them, and their shared state.
//!
//! A server has one event loop per core and distributes its clients among them. An object that a
//! process serves without a server has one loop.

pub(crate) mod activity;
mod dispatching;
pub(crate) mod event_loop;
pub(crate) mod key_hasher;
mod last_caller;
mod lifecycle;
pub(crate) mod method_limit;
pub(crate) mod method_times;
mod own_sources;
mod ready_queue;
mod settings;
mod statistics;
pub(crate) mod timers;
pub(crate) mod watchdog;
mod work_queue;
mod worker_pool;
pub(crate) mod worker_slot;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool as SignalFlag, Ordering};
use std::time::Duration;

use syshandle_os::{BorrowedHandle, Event, Interest, ManualEvent, ProcessMark};

use self::activity::{Activity, ActivityKind, KeepAlive};
#[cfg(test)]
use self::event_loop::LoopContext;
use self::event_loop::{EventLoop, LoopSource, NO_LOOP};
use self::method_limit::MethodLimit;
use self::method_times::MethodTable;
pub(crate) use self::settings::{CALLS_MAX, CLIENTS_MAX, Settings, Threads};
use self::timers::{SourceTimer, Timer, TimerId, Timers};
use self::watchdog::Watchdog;
use self::work_queue::WorkQueue;
use self::worker_pool::WorkerPool;
pub(crate) use self::worker_pool::{UserCode, WorkItem};
use crate::Result;
use crate::quota::Quotas;
use crate::server::stats::RefusalCounters;
use crate::setup::failed;
use crate::sync::atomic::{AtomicBool, AtomicUsize};
use crate::sync::{Mutex, now, wait_for_event};

/// A running server.
pub(crate) struct Reactor {
    owner: ProcessMark,
    loops: Vec<EventLoop>,
    workers: WorkerPool,
    watchdog: Watchdog,
    method_limit: MethodLimit,
    timers: Timers,
    activity: Arc<Activity>,
    settings: Settings,
    quotas: Quotas,
    methods: MethodTable,
    refusals: RefusalCounters,
    /// User code that the thread of the first loop runs, or has a worker run.
    queued: Mutex<WorkQueue<Box<dyn WorkItem>>>,
    /// Wakes a thread to run the queued code, or to check whether the server may end.
    work: Event,
    /// Wakes the threads of all loops when the server ends.
    stop: ManualEvent,
    stopped: AtomicBool,
    /// Whether `SIGTERM` was received; set by the signal handler.
    told_to_end: Arc<SignalFlag>,
    draining: AtomicBool,
    /// Whether all connections were closed because the server ends.
    closed: AtomicBool,
    /// Number of background tasks that have yet to end with the outcome `Stopping`.
    untold: AtomicUsize,
    /// Number of threads that are dedicated to one client.
    dedicated: AtomicUsize,
    dedicated_max: usize,
    /// A value of the program that lives as long as the reactor: the classes of a server.
    _program: Option<Arc<dyn Send + Sync>>,
}

/// Counts one dedicated thread until dropped.
pub(crate) struct DedicatedThread<'r>(&'r AtomicUsize);

impl Drop for DedicatedThread<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Reactor {
    /// Index of the loop that also has the sources that belong to no client.
    pub(crate) const FIRST: usize = 0;

    /// Creates a reactor without threads. Keeps `program` until it is dropped.
    pub(crate) fn new(
        settings: Settings,
        program: Option<Arc<dyn Send + Sync>>,
    ) -> Result<Arc<Self>> {
        // Operations on a client's handles that may block must not block the threads of the server.
        // Before a peer is served, because another file system may be mounted over `/proc` later.
        syshandle_os::prepare_once();
        let has_threads = settings.threads == Threads::Own;
        syshandle_os::prepare_to_serve(has_threads);
        let loops = settings.loops.min(settings.max_concurrent_calls).min(EventLoop::MAX);
        let no_event = failed("eventfd2", NO_LOOP);
        let stop = ManualEvent::new().map_err(no_event)?;
        let reactor = Self {
            owner: ProcessMark::current(),
            loops: (0..loops).map(|index| EventLoop::new(index, &stop)).collect::<Result<_>>()?,
            workers: match has_threads {
                true => WorkerPool::new(settings.max_concurrent_calls, loops),
                false => WorkerPool::without_threads(),
            },
            watchdog: if has_threads { Watchdog::default() } else { Watchdog::none() },
            method_limit: MethodLimit::new(settings.max_concurrent_calls),
            timers: Timers::new().map_err(failed("timerfd_create", NO_LOOP))?,
            activity: Arc::default(),
            quotas: Quotas::new(settings.quota_limits),
            settings,
            methods: MethodTable::default(),
            refusals: RefusalCounters::default(),
            queued: Mutex::default(),
            work: Event::new().map_err(no_event)?,
            stop,
            stopped: AtomicBool::new(false),
            told_to_end: Arc::default(),
            draining: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            untold: AtomicUsize::new(0),
            dedicated: AtomicUsize::new(0),
            dedicated_max: loops,
            _program: program,
        };
        reactor.add_own_sources()?;
        Ok(Arc::new(reactor))
    }

    /// Starts the thread of the first loop. The other threads start when their loops get clients.
    ///
    /// # Errors
    /// The system can't start a thread.
    pub(crate) fn start(self: &Arc<Self>) -> io::Result<()> {
        self.event_loop(Self::FIRST).is_run.store(true, Ordering::SeqCst);
        self.workers.hand_over(self, Self::FIRST).map(drop)
    }

    /// Starts the server, and blocks this thread until the server ends. This thread runs no
    /// methods, because a method that never returns must not keep the server from ending.
    pub(crate) fn run(self: &Arc<Self>) -> io::Result<()> {
        self.watchdog.run(self)
    }

    /// Blocks this thread until the server, whose threads were started, ends.
    pub(crate) fn watch(self: &Arc<Self>) -> io::Result<()> {
        self.watchdog.watch(self)
    }

    /// Blocks until the server ends.
    pub(super) fn wait_for_end(&self) -> io::Result<()> {
        wait_for_event(&self.stop)
    }

    /// Returns whether this process is the one that the reactor serves in, not a forked copy.
    #[inline]
    pub(crate) fn is_own(&self) -> bool {
        self.owner.is_current()
    }

    /// Aborts a forked copy of this process. Its thread would otherwise continue as a thread of the
    /// server: the copy shares the server's poller and sockets, and would reply to the server's
    /// clients.
    #[inline]
    pub(crate) fn end_copy(&self) {
        if !self.is_own() {
            abort_copy();
        }
    }

    /// Returns all loops.
    pub(super) fn event_loops(&self) -> &[EventLoop] {
        &self.loops
    }

    /// Returns the loop with an index.
    pub(crate) fn event_loop(&self, index: usize) -> &EventLoop {
        &self.loops[index]
    }

    /// Returns the loop of a source.
    pub(crate) fn loop_of(&self, key: u64) -> &EventLoop {
        self.event_loop(EventLoop::index_of(key))
    }

    /// Returns the loop with the fewest clients, after requesting a thread for it if it has none.
    pub(crate) fn quietest_loop(self: &Arc<Self>) -> &EventLoop {
        let quietest = (0..self.loops.len()).min_by_key(|index| self.loops[*index].load());
        let Some(index) = quietest.filter(|index| *index != Self::FIRST) else {
            return self.event_loop(Self::FIRST);
        };
        let event_loop = self.event_loop(index);
        if !event_loop.is_run.load(Ordering::SeqCst)
            && !event_loop.is_run.swap(true, Ordering::SeqCst)
        {
            // If no thread can start now, the watchdog or the next free thread finds one.
            let _ = self.workers.hand_over(self, index);
        }
        event_loop
    }

    /// Returns a loop whose thread sleeps.
    pub(super) fn sleeping_loop(&self) -> Option<&EventLoop> {
        self.loops.iter().find(|event_loop| event_loop.sleeps())
    }

    /// Changes the interest in a source, or watches it once more. If the system has no memory for
    /// that, the source is handled a little later as if it were ready.
    pub(crate) fn watch_again(&self, handle: BorrowedHandle<'_>, key: u64, interest: Interest) {
        if let Err(error) = self.loop_of(key).poller().change(handle, key, interest) {
            self.look_later(key, &error);
        }
    }

    /// Schedules a source that can't be watched now, to be handled a little later as if it were
    /// ready.
    pub(crate) fn look_later(&self, key: u64, error: &io::Error) {
        crate::log::warn!(%error, "a descriptor can't be watched now");
        self.set_timer(RETRY, key, SourceTimer::Retry);
    }

    /// Removes a source, unless another thread has removed it.
    pub(crate) fn remove_source(&self, key: u64, handle: BorrowedHandle<'_>) {
        if self.loop_of(key).forget(key) {
            self.loop_of(key).poller().remove(handle);
        }
    }

    /// Removes a source that isn't watched.
    pub(crate) fn forget_source(&self, key: u64) {
        self.loop_of(key).forget(key);
    }

    /// Returns all present sources.
    pub(crate) fn all_sources(&self) -> Vec<Arc<dyn LoopSource>> {
        self.loops.iter().flat_map(EventLoop::all).collect()
    }

    /// Returns whether the limit of connections and doors is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.activity.presence() >= self.settings.max_clients
    }

    /// Returns the quotas of the clients.
    pub(crate) fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Returns the measured run times of the methods of all interfaces.
    pub(crate) fn methods(&self) -> &MethodTable {
        &self.methods
    }

    /// Returns the settings.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Keeps the server alive until the result is dropped.
    pub(crate) fn keep_alive(&self, kind: ActivityKind) -> KeepAlive {
        self.activity.keep_alive(kind)
    }

    /// Sets a timer for a source. Returns its identifier.
    pub(crate) fn set_timer(&self, after: Duration, key: u64, timer: SourceTimer) -> TimerId {
        self.timers.set(now() + after, Timer::Source(key, timer))
    }

    /// Removes a timer.
    pub(crate) fn forget_timer(&self, timer: TimerId) {
        self.timers.forget(timer);
    }

    /// Identifies the reactor in encoders of messages to its clients.
    pub(crate) fn identity(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Has a worker thread run user code, when the client runs fewer methods than its limit.
    pub(crate) fn run_beside(self: &Arc<Self>, code: Box<dyn WorkItem>) {
        self.workers.add_work(self, code);
    }

    /// Wakes a thread to run queued user code, or to check whether the server may end.
    pub(crate) fn look_around(&self) {
        surely(|| self.work.set_unshared());
    }

    /// Has a source handled once more, and wakes the thread of its loop for that.
    pub(super) fn remind(&self, key: u64) {
        let event_loop = self.loop_of(key);
        event_loop.remind(key);
        event_loop.wake(&self.stop);
    }

    /// Has another thread run an event loop.
    ///
    /// # Errors
    /// The system can't start a thread. The next free thread runs the loop.
    pub(crate) fn hand_over(self: &Arc<Self>, index: usize) -> io::Result<()> {
        self.workers.hand_over(self, index)
    }

    /// Returns whether the watchdog gives the client of a dedicated thread back to its loop if a
    /// method runs long. It does not if its thread could not be started.
    pub(crate) fn has_watchdog(&self) -> bool {
        self.watchdog.watches()
    }

    /// Begins the end of the server, as `SIGTERM` does.
    pub(crate) fn tell_to_end(&self) {
        self.told_to_end.store(true, Ordering::SeqCst);
        self.look_around();
    }

    /// Returns the flag that the handler of `SIGTERM` sets.
    pub(crate) fn signal_flag(&self) -> Arc<SignalFlag> {
        self.told_to_end.clone()
    }

    /// Keeps the server alive until the result is dropped, unless it ends already because it was
    /// idle.
    pub(crate) fn try_keep_alive(&self, kind: ActivityKind) -> Option<KeepAlive> {
        self.activity.try_keep_alive(kind)
    }

    /// Returns whether no client is connected and no work runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.activity.is_idle()
    }

    /// Allows this thread to be dedicated to one client, unless too many threads are, or no other
    /// thread could run the loop.
    pub(crate) fn dedicate_thread(&self) -> Option<DedicatedThread<'_>> {
        if !self.workers.has_another() {
            return None;
        }
        let one_more = |dedicated| (dedicated < self.dedicated_max).then_some(dedicated + 1);
        self.dedicated.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(DedicatedThread(&self.dedicated))
    }

    /// Returns the timers.
    #[cfg(test)]
    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Runs a function on this thread as the thread of a loop would.
    #[cfg(test)]
    pub(crate) fn as_worker(self: &Arc<Self>, run: impl FnOnce(LoopContext<'_>)) {
        let slot = self.watchdog.new_slot();
        run(LoopContext { reactor: self, slot: &slot });
    }
}

impl std::fmt::Debug for Reactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reactor").field("activity", &self.activity).finish_non_exhaustive()
    }
}

#[cold]
fn abort_copy() -> ! {
    crate::log::error!(
        "a process that a method forked is ended, because it returned from the method and would \
         serve the clients of its parent"
    );
    std::process::abort();
}

/// Sets an event on which other threads rely. An open eventfd has no reason to fail, but a system
/// call filter may make it fail, so it is retried.
pub(super) fn surely(set: impl Fn() -> io::Result<()>) {
    for _ in 0..TRIES {
        match set() {
            Ok(()) => return,
            Err(error) => crate::log::error!(%error, "a thread of the server can't be woken now"),
        }
        std::thread::sleep(RETRY);
    }
}

/// Delay before an operation is retried for which the system had no memory or descriptors.
pub(super) const RETRY: Duration = Duration::from_millis(50);

/// Limit of the attempts, which take up to one second.
const TRIES: u32 = 20;
