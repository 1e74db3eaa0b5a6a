//! A running server: its event loops, the threads that run them, and their shared state.
//!
//! A server has one event loop per core and distributes its clients among them. An object that a
//! process serves without a server has one loop.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool as SignalFlag, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use syshandle_os::{
    BorrowedHandle, Event, Filesystems, Interest, ManualEvent, Peer, ProcessMark, Seqpacket,
};
use syshandle_types::Guid;
use syshandle_wire::{Fault, Greeting};

use super::acceptor::{refuse, written};
use super::activity::{Activity, ActivityKind, KeepAlive};
use super::connection::{ClientOrigin, NewConnection, ServerConnection};
use super::event_loop::{EventLoop, NO_LOOP, Source};
use super::method_times::MethodTable;
use super::task::Task;
use super::timers::{Timer, Timers};
use super::watchdog::Watchdog;
use super::worker_pool::WorkerPool;
use crate::class::{Factory, Object, ServedClass};
use crate::door::ProcessIdentity;
use crate::guard::ForeignValue;
use crate::limits::LIMITS;
use crate::peer_socket::PeerSocket;
use crate::quota::{QuotaLimits, Quotas};
use crate::server::Outcome;
use crate::server::stats::RefusalCounters;
use crate::setup::failed;
use crate::sync::atomic::{AtomicBool, AtomicUsize};
use crate::sync::{Mutex, MutexGuard, now, wait_for_event};
use crate::{Result, door};

/// A running server.
pub(crate) struct Reactor {
    owner: ProcessMark,
    loops: Vec<EventLoop>,
    pub(crate) workers: WorkerPool,
    pub(crate) watchdog: Watchdog,
    pub(crate) timers: Timers,
    pub(crate) activity: Arc<Activity>,
    pub(super) settings: Settings,
    pub(crate) quotas: Quotas,
    classes: ForeignValue<HashMap<Guid, Factory>>,
    pub(super) methods: MethodTable,
    pub(super) refusals: RefusalCounters,
    /// Background tasks to be ended by the thread of the first loop.
    ending: Mutex<VecDeque<(Arc<Task>, Outcome)>>,
    /// Wakes a thread to end these tasks, or to check whether the server may end.
    pub(super) work: Event,
    /// Wakes the threads of all loops when the server ends.
    pub(super) stop: ManualEvent,
    pub(super) stopped: AtomicBool,
    /// Whether `SIGTERM` was received; set by the signal handler.
    pub(super) told_to_end: Arc<SignalFlag>,
    pub(super) draining: AtomicBool,
    /// Whether all connections were closed because the server ends.
    pub(super) closed: AtomicBool,
    /// Number of background tasks that have yet to end with the outcome `Stopping`.
    pub(super) untold: AtomicUsize,
    /// Number of threads that are dedicated to one client.
    dedicated: AtomicUsize,
    dedicated_max: usize,
}

/// Counts one dedicated thread until dropped.
pub(crate) struct DedicatedThread<'r>(&'r AtomicUsize);

impl Drop for DedicatedThread<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The settings of a reactor.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Number of event loops: one per core, if many clients are expected.
    pub(crate) loops: usize,
    /// Limit of methods that run at once.
    pub(crate) max_concurrent_calls: usize,
    /// Limit of connections and doors.
    pub(crate) clients_max: usize,
    /// The idle timeout; `None` disables it.
    pub(crate) idle: Option<Duration>,
    /// The drain timeout: how long running methods and tasks may take when the server is told to
    /// end.
    pub(crate) drain: Duration,
    /// File systems whose files are accepted from clients.
    pub(crate) filesystems: Filesystems,
    /// The resources of the server, of which each client has a quota.
    pub(crate) quota_limits: QuotaLimits,
}

impl Settings {
    /// Returns the settings for an object that a process serves without a server, until the last
    /// reference to it is dropped.
    pub(crate) fn of_object(quota_limits: QuotaLimits) -> Self {
        Self {
            loops: 1,
            max_concurrent_calls: quota_limits.calls,
            clients_max: quota_limits.clients,
            idle: Some(Duration::ZERO),
            drain: Duration::ZERO,
            filesystems: Filesystems::local(),
            quota_limits,
        }
    }
}

impl Reactor {
    /// Index of the loop that also has the sources that belong to no client.
    pub(crate) const FIRST: usize = 0;

    /// Creates a reactor without threads.
    pub(crate) fn new(settings: Settings, classes: Vec<ServedClass>) -> Result<Arc<Self>> {
        // Operations on a client's handles that may block must not block the threads of the server.
        // Before a peer is served, because another file system may be mounted over `/proc` later.
        syshandle_os::prepare_once();
        syshandle_os::prepare_to_serve();
        let loops = settings.loops.min(settings.max_concurrent_calls).min(EventLoop::MAX);
        let no_event = failed("eventfd2", NO_LOOP);
        let stop = ManualEvent::new().map_err(no_event)?;
        let reactor = Self {
            owner: ProcessMark::current(),
            loops: (0..loops).map(|index| EventLoop::new(index, &stop)).collect::<Result<_>>()?,
            workers: WorkerPool::new(settings.max_concurrent_calls, loops),
            watchdog: Watchdog::default(),
            timers: Timers::new().map_err(failed("timerfd_create", NO_LOOP))?,
            activity: Arc::default(),
            quotas: Quotas::new(settings.quota_limits),
            settings,
            classes: ForeignValue::new(
                classes.into_iter().map(|class| (class.clsid, class.make)).collect(),
            ),
            methods: MethodTable::default(),
            refusals: RefusalCounters::default(),
            ending: Mutex::default(),
            work: Event::new().map_err(no_event)?,
            stop,
            stopped: AtomicBool::new(false),
            told_to_end: Arc::default(),
            draining: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            untold: AtomicUsize::new(0),
            dedicated: AtomicUsize::new(0),
            dedicated_max: loops,
        };
        let first = reactor.event_loop(Self::FIRST);
        let no_watch = failed("epoll_ctl", NO_LOOP);
        first
            .add(
                |_| Source::Wakeup,
                |poller, key| poller.add(&reactor.work, key, Interest::EachReadable),
            )
            .map_err(no_watch)?;
        let alarm = reactor.timers.alarm();
        first
            .add(|_| Source::Alarm, |poller, key| poller.add(alarm, key, Interest::EachReadable))
            .map_err(no_watch)?;
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
        self.timers.set(now() + RETRY, Timer::Look(key));
    }

    /// Removes a source. Returns `None` if another thread has removed it.
    pub(crate) fn remove_source(&self, key: u64, handle: BorrowedHandle<'_>) -> Option<Source> {
        let source = self.loop_of(key).forget(key)?;
        self.loop_of(key).poller().remove(handle);
        Some(source)
    }

    /// Removes a source that isn't watched.
    pub(crate) fn forget_source(&self, key: u64) {
        self.loop_of(key).forget(key);
    }

    /// Returns all present sources.
    pub(crate) fn all_sources(&self) -> Vec<(u64, Source)> {
        self.loops.iter().flat_map(EventLoop::all).collect()
    }

    /// Serves an object to the process that created the socket: sends the greeting and waits for
    /// frames.
    pub(crate) fn serve(self: &Arc<Self>, socket: Seqpacket, object: &Object) -> io::Result<()> {
        let client = ClientOrigin::OfSocket(socket.peer()?);
        self.greet(socket, client, object).map(drop)
    }

    /// Serves an object to a client that attached at a door. The server creates the connection and
    /// sends its other end through the client's return channel.
    pub(super) fn serve_attached(
        self: &Arc<Self>,
        client: ProcessIdentity,
        channel: &Arc<PeerSocket>,
        object: &Object,
    ) -> io::Result<()> {
        if self.is_full() {
            refuse(self, channel, &Fault::Busy { limit: "clients".into() });
            return Ok(());
        }
        let (ours, theirs) = Seqpacket::pair()?;
        // The client learns from the kernel which process sent the greeting.
        theirs.name_senders()?;
        let client = ClientOrigin::Attached(client, channel.clone());
        let Some(NewConnection { connection, .. }) = self.greet(ours, client, object)? else {
            return Ok(());
        };
        let sent = door::send_attach(channel, theirs.as_fd());
        sent.inspect_err(|_| connection.end(self, false))
    }

    fn greet(
        self: &Arc<Self>,
        socket: Seqpacket,
        client: ClientOrigin,
        object: &Object,
    ) -> io::Result<Option<NewConnection>> {
        let greeting = written(&Greeting { limits: LIMITS, offers: object.offers() });
        ServerConnection::add(self, socket, client, &greeting, Some(object.clone()), None)
    }

    /// Returns whether the limit of connections and doors is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.activity.presence() >= self.settings.clients_max
    }

    /// Returns the function that creates the objects of a class.
    pub(crate) fn class(&self, clsid: Guid) -> Option<&Factory> {
        self.classes.get(&clsid)
    }

    /// Returns the settings.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Keeps the server alive until the result is dropped.
    pub(crate) fn keep_alive(&self, kind: ActivityKind) -> KeepAlive {
        self.activity.keep_alive(kind)
    }

    /// Has the thread of the first loop end a background task, because its callback may run long
    /// and must not delay the caller.
    pub(crate) fn end_task(&self, task: Arc<Task>, outcome: Outcome) {
        self.ending().push_back((task, outcome));
        self.look_around();
    }

    /// Wakes a thread to end background tasks, or to check whether the server may end.
    pub(crate) fn look_around(&self) {
        surely(|| self.work.set_unshared());
    }

    /// Has a source handled once more, and wakes the thread of its loop for that.
    pub(super) fn remind(&self, key: u64) {
        let event_loop = self.loop_of(key);
        event_loop.remind(key);
        event_loop.wake(&self.stop);
    }

    /// Allows this thread to be dedicated to one client, unless too many threads are.
    pub(crate) fn dedicate_thread(&self) -> Option<DedicatedThread<'_>> {
        let one_more = |dedicated| (dedicated < self.dedicated_max).then_some(dedicated + 1);
        self.dedicated.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(DedicatedThread(&self.dedicated))
    }

    pub(super) fn ending(&self) -> MutexGuard<'_, VecDeque<(Arc<Task>, Outcome)>> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
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
