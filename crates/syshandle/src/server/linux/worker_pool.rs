//! The threads of a server: which thread runs which event loop or work item.
//!
//! One thread at a time runs each event loop. For each ready source it does everything: it
//! receives, runs the method and replies. Work changes threads in three cases only. When a method
//! runs long, the watchdog (`Watchdog`) gives the loop to another thread. A method that is known to
//! be slow, or would exceed the limit of running methods, becomes a work item for a worker thread.
//! A client that calls alone and repeatedly gets a dedicated thread, which sleeps where only that
//! client wakes it. That thread first gives its loop to another thread.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use super::connection::ServerConnection;
use super::reactor::Reactor;
use super::receiving::EventOutcome;
use super::watchdog::{Assignment, RunGuard, WorkerSlot};
use super::work_item::WorkItem;
use super::work_queue::WorkQueue;
use crate::sync::atomic::{AtomicBool, AtomicUsize};
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, MutexGuard, contain, often};

/// The worker pool: the threads of a server, the work items that wait for a thread, and the loops
/// that have none.
#[derive(Debug)]
pub(crate) struct WorkerPool {
    /// Limit of methods and other user code that run at once.
    methods_max: usize,
    /// Limit of threads: one for each method, one for each loop and one for each dedicated thread.
    /// A thread that an event loop needs may exceed the limit.
    threads_max: usize,
    /// Limit of idle threads. Threads beyond it end, for instance after a burst of slow methods.
    spares_max: usize,
    /// Number of threads. Changed under the lock.
    threads: AtomicUsize,
    /// Whether work items wait. Changed under the lock.
    has_work: AtomicBool,
    state: Mutex<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    /// Event loops without a thread.
    free: VecDeque<usize>,
    items: WorkQueue,
    /// Idle threads, which sleep until there is work.
    spares: Vec<Thread>,
    /// Number of threads that were started or woken and have not asked for an assignment yet.
    coming: usize,
    dismissed: bool,
}

/// The next work of a thread.
#[expect(clippy::large_enum_variant, reason = "one is moved at a time, and none is kept")]
enum NextWork<'p> {
    Loop(usize),
    WorkItem(WorkItem, RunGuard<'p>),
}

impl WorkerPool {
    pub(crate) fn new(methods_max: usize, loops: usize) -> Self {
        Self {
            methods_max,
            threads_max: methods_max + 2 * loops,
            spares_max: loops,
            threads: AtomicUsize::new(0),
            has_work: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// Returns the limit of running methods, if there are enough threads to exceed it.
    #[inline]
    pub(super) fn limit(&self) -> Option<usize> {
        (self.threads() > self.methods_max).then_some(self.methods_max)
    }

    /// Has another thread run an event loop.
    ///
    /// # Errors
    /// The system can't start a thread. The next free thread runs the loop.
    pub(crate) fn hand_over(&self, reactor: &Arc<Reactor>, index: usize) -> io::Result<()> {
        self.state().free.push_back(index);
        self.find_thread(reactor)
    }

    /// Queues a work item for a worker thread. The work item runs when fewer methods run than the
    /// limit.
    pub(super) fn add_work(&self, reactor: &Arc<Reactor>, item: WorkItem) {
        let mut state = self.state();
        if state.dismissed {
            drop(state);
            drop(item.refuse(reactor));
            return;
        }
        state.items.push(item);
        self.has_work.store(true, Ordering::SeqCst);
        drop(state);
        // If no thread can start now, the watchdog or the next free thread finds one.
        let _ = self.find_thread(reactor);
    }

    /// Returns whether work items wait for a thread or for a method to end.
    #[inline]
    pub(super) fn has_work(&self) -> bool {
        self.has_work.load(Ordering::SeqCst)
    }

    /// Takes all work items that have not started.
    pub(super) fn take_work(&self) -> Vec<WorkItem> {
        let mut state = self.state();
        self.has_work.store(false, Ordering::SeqCst);
        state.items.take_all()
    }

    /// Wakes or starts one thread if an event loop or a work item needs one. That thread then finds
    /// the next thread itself, so that no event loop is delayed while many threads start.
    pub(crate) fn find_thread(&self, reactor: &Arc<Reactor>) -> io::Result<()> {
        let mut state = self.state();
        let has_item = state.items.may_start() && reactor.watchdog.has_room(reactor);
        if state.coming >= state.free.len() + usize::from(has_item) {
            return Ok(());
        }
        if let Some(spare) = state.spares.pop() {
            state.coming += 1;
            drop(state);
            spare.unpark();
            return Ok(());
        }
        if state.free.is_empty() && self.threads() >= self.threads_max {
            return Ok(());
        }
        state.coming += 1;
        self.threads.fetch_add(1, Ordering::Relaxed);
        drop(state);
        let reactor = reactor.clone();
        let started = thread::start("syshandle", move || work(&reactor));
        started.map(drop).inspect_err(|error| {
            let mut state = self.state();
            state.coming -= 1;
            self.threads.fetch_sub(1, Ordering::Relaxed);
            drop(state);
            crate::log::warn!(%error, "no more threads can be started");
        })
    }

    /// Returns whether a further thread is idle or may start.
    pub(crate) fn has_another(&self) -> bool {
        let state = self.state();
        !state.spares.is_empty() || self.threads() < self.threads_max
    }

    /// Returns whether an event loop waits for a thread.
    pub(super) fn has_free_loop(&self) -> bool {
        !self.state().free.is_empty()
    }

    /// Waits for an assignment. Returns `None` if this thread is not needed any more. `came` says
    /// that the thread was just started.
    fn next<'p>(
        &self,
        reactor: &Arc<Reactor>,
        slot: &'p WorkerSlot,
        mut came: bool,
    ) -> Option<NextWork<'p>> {
        let mut state = self.state();
        loop {
            if std::mem::take(&mut came) {
                state.coming = state.coming.saturating_sub(1);
            }
            let found = match state.free.pop_front() {
                Some(index) => Some(NextWork::Loop(index)),
                None => self.start_item(&mut state, reactor, slot),
            };
            if found.is_some() {
                let more = !state.free.is_empty() || !state.items.is_empty();
                drop(state);
                if more {
                    let _ = self.find_thread(reactor);
                }
                return found;
            }
            if state.dismissed
                || state.spares.len() >= self.spares_max
                || self.threads() > self.threads_max
            {
                self.threads.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
            let this = thread::current();
            state.spares.push(this.clone());
            drop(state);
            thread::park_timeout(LONG);
            state = self.state();
            // `find_thread` removes the thread that it wakes. A thread that is still listed woke on
            // its own.
            let count = state.spares.len();
            state.spares.retain(|spare| spare.id() != this.id());
            came = state.spares.len() == count;
        }
    }

    /// Takes a work item and starts to run it, unless the limit of running methods is reached.
    fn start_item<'p>(
        &self,
        state: &mut PoolState,
        reactor: &Arc<Reactor>,
        slot: &'p WorkerSlot,
    ) -> Option<NextWork<'p>> {
        if state.items.is_empty() {
            return None;
        }
        let running = reactor.watchdog.try_start(slot, reactor)?;
        let Some(item) = state.items.start_first() else {
            running.end_work();
            return None;
        };
        self.has_work.store(!state.items.is_empty(), Ordering::SeqCst);
        Some(NextWork::WorkItem(item, running))
    }

    /// Ends all idle threads, and has the other threads end when they become idle.
    pub(crate) fn dismiss(&self) {
        let mut state = self.state();
        state.dismissed = true;
        let spares = std::mem::take(&mut state.spares);
        drop(state);
        spares.iter().for_each(Thread::unpark);
    }

    pub(super) fn threads(&self) -> usize {
        self.threads.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs event loops and work items until the server ends or this thread is not needed any more.
///
/// Each call of user code catches panics. If this thread unwinds nevertheless, it gives up its loop
/// or client and continues, so that no event loop is lost.
fn work(reactor: &Arc<Reactor>) {
    let slot = reactor.watchdog.new_slot();
    let mut came = true;
    while let Err(text) = contain(|| work_on(reactor, &slot, &mut came)) {
        crate::log::error!(panic = %text, "a thread of the server panicked");
        slot.recover(reactor);
    }
}

fn work_on(reactor: &Arc<Reactor>, slot: &Arc<WorkerSlot>, came: &mut bool) {
    while let Some(assignment) = reactor.workers.next(reactor, slot, std::mem::take(came)) {
        match assignment {
            NextWork::Loop(index) => run_loop(reactor, index, slot),
            NextWork::WorkItem(item, running) => {
                item.run(reactor, slot);
                running.end_work();
            }
        }
        slot.assign(Assignment::Nothing);
        reactor.check_idle();
    }
}

/// Runs an event loop until the server ends or another thread takes the loop over.
fn run_loop(reactor: &Arc<Reactor>, index: usize, slot: &Arc<WorkerSlot>) {
    let event_loop = reactor.event_loop(index);
    slot.assign(Assignment::Loop(index));
    let (mut caller, mut alone) = (LastCaller::default(), false);
    while !reactor.is_stopped() {
        let Some(ready) = event_loop.next() else {
            let client = caller.worth_dedicating();
            if client.is_some_and(|client| client.dedicate(reactor, index, slot)) {
                return;
            }
            match wait(reactor, index, &caller) {
                Ok(count) => alone = count == 1,
                Err(error) => {
                    crate::log::error!(%error, "the server can't wait for its clients");
                    reactor.stop();
                }
            }
            continue;
        };
        let outcome = reactor.act(ready, slot);
        reactor.check_idle();
        match outcome {
            EventOutcome::Called(client, took) => {
                if caller.called(&client, alone, took) {
                    if let Some(other) = reactor.sleeping_loop() {
                        client.move_to(other, reactor);
                    }
                }
            }
            EventOutcome::Otherwise => caller.calls = 0,
            EventOutcome::Lost => return,
        }
    }
}

/// Waits until a source becomes ready. A client that has called from another core may call again
/// soon, so this thread first spins for a short time.
fn wait(reactor: &Reactor, index: usize, caller: &LastCaller) -> io::Result<usize> {
    let event_loop = reactor.event_loop(index);
    if let Some(client) = caller.client.upgrade() {
        let mut spin_wait = client.start_spinning();
        while spin_wait.again() {
            let count = event_loop.look()?;
            if count > 0 {
                spin_wait.hit();
                return Ok(count);
            }
        }
    }
    event_loop.wait()
}

/// The client whose call was the last one in a loop.
#[derive(Default)]
struct LastCaller {
    client: Weak<ServerConnection>,
    /// Number of consecutive calls of this client, with no activity of others in the loop.
    calls: u32,
    /// Number of consecutive times that a different client called and its method took at least
    /// [`WORTH_A_MOVE`].
    waits: u32,
}

impl LastCaller {
    /// Records a call. Returns whether its client should move to an idle loop, because clients of
    /// this loop repeatedly delay each other.
    fn called(&mut self, client: &Arc<ServerConnection>, alone: bool, took: Duration) -> bool {
        let same = std::ptr::eq(self.client.as_ptr(), Arc::as_ptr(client));
        if !same {
            self.client = Arc::downgrade(client);
        }
        self.count(same, alone, took)
    }

    fn count(&mut self, same: bool, alone: bool, took: Duration) -> bool {
        self.calls = if same && alone { self.calls + 1 } else { 0 };
        if same {
            return false;
        }
        self.waits = if took >= WORTH_A_MOVE { self.waits + 1 } else { 0 };
        self.waits >= MOVE_AFTER && std::mem::take(&mut self.waits) > 0
    }
}

/// Waiting for a shorter method costs no more than waking another thread.
const WORTH_A_MOVE: Duration = Duration::from_micros(50);

/// Number of consecutive calls, each of a different client than the one before, after which a
/// client moves.
const MOVE_AFTER: u32 = 8;

/// Number of consecutive calls of one client alone after which a thread is dedicated to it.
/// Starting and ending this costs as much as several calls.
const DEDICATE_AFTER: u32 = often(16);

/// How long an idle thread sleeps. A thread that is needed is woken earlier.
const LONG: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_repeatedly_slow_methods_move_to_workers() {
        let (quick, long) = (Duration::from_micros(5), Duration::from_micros(500));
        let mut caller = LastCaller::default();
        // A client that is alone may run long methods.
        assert!((0..100).all(|_| !caller.count(true, true, long)));
        assert!(caller.calls >= DEDICATE_AFTER);
        assert!((0..100).all(|_| !caller.count(false, false, quick)));
        let moves = (0..3 * MOVE_AFTER).filter(|_| caller.count(false, true, long)).count();
        assert_eq!(moves, 3);
        assert_eq!(caller.calls, 0);
    }
}
