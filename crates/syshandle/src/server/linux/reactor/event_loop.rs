//! An event loop: a poller and its sources. One thread at a time runs it.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::io;
use std::sync::atomic::{AtomicU64 as StdAtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use syshandle_os::{Interest, ManualEvent, PollEvent, Poller};

use super::key_hasher::KeyHasher;
use super::ready_queue::{ReadyQueue, SourceOwner};
use super::timers::SourceTimer;
use super::worker_slot::{RunGuard, WorkerSlot};
use super::{Reactor, surely};
use crate::Result;
use crate::quota::Quota;
use crate::setup::failed;
use crate::spin::SpinWait;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use crate::sync::{Mutex, MutexGuard, now, wait_for_ready};

/// The message of an error for a loop that can't be created.
pub(super) const NO_LOOP: &str = "no event loop can be made";

/// An event loop. The key of a source contains the index of its loop.
pub(crate) struct EventLoop {
    index: usize,
    poller: Poller,
    sources: Mutex<Sources>,
    last_key: AtomicU64,
    /// Ready sources that are not handled yet. A thread that takes the loop over continues with
    /// them.
    ready: Mutex<ReadyQueue>,
    /// Sources to be handled although the poller did not report them.
    reminders: Reminders,
    /// Number of clients and doors.
    load: AtomicUsize,
    /// Whether no source is ready and the thread sleeps.
    sleeps: AtomicBool,
    /// Whether a thread was requested for this loop.
    pub(super) is_run: AtomicBool,
    /// Number of calls of the loop's clients whose methods have ended.
    pub(super) calls: StdAtomicU64,
}

type Sources = HashMap<u64, Arc<dyn LoopSource>, BuildHasherDefault<KeyHasher>>;

/// The thread that runs a loop or a work item, and its reactor.
#[derive(Clone, Copy)]
pub(crate) struct LoopContext<'a> {
    pub(crate) reactor: &'a Arc<Reactor>,
    pub(crate) slot: &'a WorkerSlot,
}

/// A source of events that a loop waits for.
pub(crate) trait LoopSource: Send + Sync {
    /// Handles readiness, on the thread that runs the loop.
    fn act(self: Arc<Self>, context: LoopContext<'_>, ready: PollEvent) -> EventOutcome;

    /// Handles a timer that was set for this source.
    fn on_timer(self: Arc<Self>, _reactor: &Arc<Reactor>, _timer: SourceTimer) {}

    /// Handles a step towards the end of the server. Runs no user code.
    fn on_ending(self: Arc<Self>, _reactor: &Arc<Reactor>, _step: EndingStep) {}

    /// Returns whether an idle server may end. A listening socket is closed before that.
    fn may_end(&self, _reactor: &Arc<Reactor>) -> bool {
        true
    }

    /// Returns the quota of the client that causes the events of the source. Clients take turns.
    /// Returns `None` if the source belongs to no client.
    fn owner(&self) -> Option<&Arc<Quota>> {
        None
    }

    /// Returns whether the source brings continuous work, which is balanced between the loops.
    fn is_client(&self) -> bool {
        false
    }
}

/// A step towards the end of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndingStep {
    /// The server is idle except for connected clients. A connection whose client has died is
    /// closed.
    CloseDead,
    /// The server accepts no more clients and calls.
    Drain,
    /// The drain timeout has passed. Background tasks end with the outcome `Stopping`.
    EndTasks,
    /// All connections are closed.
    Close,
}

/// The result of handling a ready source.
#[must_use]
pub(crate) enum EventOutcome {
    /// The thread ran a call of this client. The call took this long.
    Called(Arc<dyn LoopClient>, Duration),
    /// The thread did other work.
    Otherwise,
    /// The work ran long, so another thread runs the loop, or the client has returned to its loop.
    Lost,
}

impl EventOutcome {
    /// Ends user code other than a call.
    pub(crate) fn after(running: RunGuard<'_>) -> Self {
        if running.end() { Self::Otherwise } else { Self::Lost }
    }
}

/// A client, to the threads that run its loop.
pub(crate) trait LoopClient: Send + Sync {
    /// Dedicates this thread to this client, which calls repeatedly, and has another thread run the
    /// loop. Returns `false` if that is not possible now. Otherwise returns `true` when the client
    /// has not called for some milliseconds, or there is more to wait for than its calls.
    fn dedicate(self: Arc<Self>, context: LoopContext<'_>, index: usize) -> bool;

    /// Returns a client that had a dedicated thread to its loop.
    fn return_to_loop(&self, reactor: &Arc<Reactor>);

    /// Moves the client to another loop. Only the thread that runs its present loop may call this.
    fn move_to(self: Arc<Self>, to: &EventLoop, reactor: &Arc<Reactor>);

    /// Starts to spin for a frame of this client.
    fn start_spinning(&self) -> SpinWait<'_>;
}

/// The end of the server, which every loop waits for. The loop checks after each source whether the
/// server has ended.
struct Stop;

impl LoopSource for Stop {
    fn act(self: Arc<Self>, _: LoopContext<'_>, _: PollEvent) -> EventOutcome {
        EventOutcome::Otherwise
    }
}

impl EventLoop {
    /// Limit of loops: the number that the low bits of a key can tell apart.
    pub(crate) const MAX: usize = 1 << INDEX_BITS;

    /// Creates a loop that `stop` wakes.
    pub(crate) fn new(index: usize, stop: &ManualEvent) -> Result<Self> {
        let event_loop = Self {
            index,
            poller: Poller::new().map_err(failed("epoll_create1", NO_LOOP))?,
            sources: Mutex::default(),
            last_key: AtomicU64::new(0),
            ready: Mutex::new(ReadyQueue::new()),
            reminders: Reminders::default(),
            load: AtomicUsize::new(0),
            sleeps: AtomicBool::new(false),
            is_run: AtomicBool::new(false),
            calls: StdAtomicU64::new(0),
        };
        let added = event_loop.add(
            |_| Arc::new(Stop),
            |poller, key| {
                debug_assert_eq!(key, event_loop.stop_key());
                poller.add(stop, key, Interest::EachReadable)
            },
        );
        added.map_err(failed("epoll_ctl", NO_LOOP))?;
        Ok(event_loop)
    }

    /// Returns the key of the stop event, which is the first source.
    fn stop_key(&self) -> u64 {
        (1 << INDEX_BITS) + self.index as u64
    }

    /// Wakes the thread that runs this loop. Changes the interest in the stop event to include
    /// writability. This event is registered anyway and is always writable.
    pub(super) fn wake(&self, stop: &ManualEvent) {
        surely(|| self.poller.change(stop, self.stop_key(), Interest::EachBoth));
    }

    /// Returns the index of the loop in a key.
    pub(crate) fn index_of(key: u64) -> usize {
        (key % Self::MAX as u64) as usize
    }

    /// Returns whether the thread of this loop sleeps.
    pub(crate) fn sleeps(&self) -> bool {
        self.sleeps.load(Ordering::Relaxed)
    }

    /// Returns the number of clients and doors.
    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Adds a source and watches it; returns its key.
    pub(crate) fn add(
        &self,
        make: impl FnOnce(u64) -> Arc<dyn LoopSource>,
        watch: impl FnOnce(&Poller, u64) -> io::Result<()>,
    ) -> io::Result<u64> {
        let number = self.last_key.fetch_add(1, Ordering::Relaxed) + 1;
        let key = (number << INDEX_BITS) + self.index as u64;
        let source = make(key);
        if source.is_client() {
            self.load.fetch_add(1, Ordering::Relaxed);
        }
        self.sources().insert(key, source);
        watch(&self.poller, key).inspect_err(|_| {
            self.forget(key);
        })?;
        Ok(key)
    }

    /// Returns the poller, for changes of the interest in a source.
    pub(crate) fn poller(&self) -> &Poller {
        &self.poller
    }

    /// Removes a source that isn't watched. Returns `false` if another thread has removed it.
    pub(crate) fn forget(&self, key: u64) -> bool {
        // The source is dropped outside the lock.
        let source = self.sources().remove(&key);
        if source.as_ref().is_some_and(|source| source.is_client()) {
            self.load.fetch_sub(1, Ordering::Relaxed);
        }
        source.is_some()
    }

    /// Returns the source of a key, unless it was removed.
    pub(crate) fn source(&self, key: u64) -> Option<Arc<dyn LoopSource>> {
        self.sources().get(&key).cloned()
    }

    /// Returns all present sources.
    pub(crate) fn all(&self) -> Vec<Arc<dyn LoopSource>> {
        self.sources().values().cloned().collect()
    }

    /// Counts a call whose method has ended.
    pub(crate) fn count_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Handles a ready source.
    pub(super) fn handle(&self, context: LoopContext<'_>, ready: PollEvent) -> EventOutcome {
        // A source that was removed in the meantime is no longer found.
        let outcome = match self.source(ready.key) {
            Some(source) => source.act(context, ready),
            None => EventOutcome::Otherwise,
        };
        context.reactor.check_idle();
        outcome
    }

    /// Takes the next ready source to be handled. Returns `None` if there is none, or it is time to
    /// look for others.
    pub(crate) fn next(&self) -> Option<PollEvent> {
        self.ready().next(now)
    }

    /// Returns whether ready sources wait to be handled.
    pub(crate) fn has_ready(&self) -> bool {
        self.ready().len() > 0
    }

    /// Polls for ready sources without blocking. Returns the number of sources that wait to be
    /// handled.
    pub(crate) fn look(&self) -> io::Result<usize> {
        let mut guard = self.ready();
        let ready = &mut *guard;
        self.poller.look(&mut ready.polled)?;
        self.queue(ready)
    }

    /// Polls for further ready sources; returns whether any sources wait to be handled. Only the
    /// thread that runs this loop may call this.
    pub(super) fn look_again(&self) -> io::Result<bool> {
        if self.has_more() {
            return Ok(true);
        }
        Ok(self.look()? > 0)
    }

    /// Queues the sources of a poll, all other ready sources, and the reminders. Returns the number
    /// of sources that wait to be handled.
    #[inline]
    fn queue(&self, ready: &mut ReadyQueue) -> io::Result<usize> {
        if ready.is_single() && !self.reminders.are_any() {
            return Ok(ready.len());
        }
        self.queue_several(ready)
    }

    fn queue_several(&self, ready: &mut ReadyQueue) -> io::Result<usize> {
        ready.start_look();
        while ready.queue_polled(|key| self.owner(key)) {
            self.poller.look(&mut ready.polled)?;
        }
        self.reminders.take(&mut ready.polled);
        ready.queue_polled(|key| self.owner(key));
        ready.start_round(now);
        Ok(ready.len())
    }

    fn owner(&self, key: u64) -> SourceOwner {
        let sources = self.sources();
        let quota = sources.get(&key).and_then(|source| source.owner());
        quota.map_or(SourceOwner::SERVER, SourceOwner::of)
    }

    /// Has a source handled once more, after the sources that are ready. Does not wake a thread
    /// that waits for this loop.
    pub(crate) fn remind(&self, key: u64) {
        self.reminders.add(key);
    }

    /// Returns whether any sources wait to be handled that the poller does not report.
    pub(super) fn has_more(&self) -> bool {
        self.has_ready() || self.reminders.are_any()
    }

    /// Waits until a source is ready, unless there are ready sources already. Returns the number of
    /// sources that wait to be handled.
    pub(crate) fn wait(&self) -> io::Result<usize> {
        if self.has_more() {
            return self.look();
        }
        // Only this thread uses the list. It is taken out so that no lock is held during the sleep.
        let mut polled = std::mem::take(&mut self.ready().polled);
        self.sleeps.store(true, Ordering::Relaxed);
        let waited = wait_for_ready(&self.poller, &mut polled);
        self.sleeps.store(false, Ordering::Relaxed);
        let mut ready = self.ready();
        ready.polled = polled;
        waited?;
        self.queue(&mut ready)
    }

    fn ready(&self) -> MutexGuard<'_, ReadyQueue> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keys of sources, in the order in which they are to be handled.
#[derive(Default)]
struct Reminders {
    /// Whether there are any keys. Avoids taking the lock in the usual case that there are none.
    any: AtomicBool,
    keys: Mutex<Vec<u64>>,
}

impl Reminders {
    fn are_any(&self) -> bool {
        self.any.load(Ordering::SeqCst)
    }

    fn add(&self, key: u64) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if !keys.contains(&key) {
            keys.push(key);
        }
        self.any.store(true, Ordering::SeqCst);
    }

    fn take(&self, ready: &mut Vec<PollEvent>) {
        if self.are_any() {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            self.any.store(false, Ordering::SeqCst);
            ready.extend(keys.drain(..).map(|key| PollEvent {
                key,
                readable: false,
                writable: false,
            }));
        }
    }
}

/// Number of low bits of a key that contain the index of its loop.
const INDEX_BITS: u32 = 6;
