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
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Reactor;
use super::event_loop::{EventLoop, EventOutcome, LoopClient, LoopContext};
use super::last_caller::LastCaller;
use super::work_queue::{QueuedItem, WorkQueue};
use super::worker_slot::{Assignment, RunGuard};
use crate::quota::{Quota, QuotaGuard, Resource};
use crate::sync::atomic::{AtomicBool, AtomicUsize};
use crate::sync::thread::{self, Thread};
use crate::sync::{BeforeWait, Mutex, MutexGuard, contain};

/// User code for a worker thread: a slow method, or code that would exceed a limit of running
/// methods.
///
/// All user code that a client causes counts among its running methods. A waiting work item needs
/// no quota of its own: a waiting call counts as one, a background task has its descriptor or
/// timer, and a connection or door counts until its object is released.
pub(crate) trait WorkItem: Send {
    /// Returns the quota of the client that causes the work item.
    fn quota(&self) -> &Arc<Quota>;

    /// Counts the work item among the running methods of its client. Returns `false` if the client
    /// has too many.
    fn start(&mut self) -> bool;

    /// Runs the work item on this thread.
    fn run(self: Box<Self>, context: LoopContext<'_>);

    /// Ends a work item that did not start because the server ends. Runs no user code: returns the
    /// values of the work item, if their destructors are user code.
    fn refuse(self: Box<Self>, reactor: &Arc<Reactor>) -> Option<Box<dyn WorkItem>>;
}

impl QueuedItem for Box<dyn WorkItem> {
    fn quota(&self) -> &Arc<Quota> {
        (**self).quota()
    }

    fn start(&mut self) -> bool {
        (**self).start()
    }
}

/// User code other than a call.
pub(crate) struct UserCode<F> {
    quota: Arc<Quota>,
    run: F,
    /// Counts the code among the running methods of its client.
    running: Option<QuotaGuard>,
}

impl<F: FnOnce(&Arc<Reactor>) + Send + 'static> UserCode<F> {
    /// Creates a work item that runs a closure, caused by the client with this quota.
    pub(crate) fn boxed(quota: &Arc<Quota>, run: F) -> Box<dyn WorkItem> {
        Box::new(Self { quota: quota.clone(), run, running: None })
    }
}

impl<F: FnOnce(&Arc<Reactor>) + Send + 'static> WorkItem for UserCode<F> {
    fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    fn start(&mut self) -> bool {
        self.running = self.quota.take(Resource::Call, 0).ok();
        self.running.is_some()
    }

    fn run(self: Box<Self>, context: LoopContext<'_>) {
        let Self { run, running: _running, .. } = *self;
        run(context.reactor);
    }

    fn refuse(self: Box<Self>, _: &Arc<Reactor>) -> Option<Box<dyn WorkItem>> {
        Some(self)
    }
}

/// The worker pool: the threads of a server, the work items that wait for a thread, and the loops
/// that have none.
pub(super) struct WorkerPool {
    /// Limit of threads: one for each method, one for each loop and one for each dedicated thread.
    /// A thread that an event loop needs may exceed the limit. Zero for a reactor without threads.
    threads_max: usize,
    /// Limit of idle threads. Threads beyond it end, for instance after a burst of slow methods.
    spares_max: usize,
    /// Number of threads. Changed under the lock.
    threads: AtomicUsize,
    /// Whether work items wait. Changed under the lock.
    has_work: AtomicBool,
    state: Mutex<PoolState>,
}

#[derive(Default)]
struct PoolState {
    /// Event loops without a thread.
    free: VecDeque<usize>,
    items: WorkQueue<Box<dyn WorkItem>>,
    /// Idle threads, which sleep until there is work.
    spares: Vec<Thread>,
    /// Number of threads that were started or woken and have not asked for an assignment yet.
    coming: usize,
    dismissed: bool,
}

/// The next work of a thread.
enum NextWork<'a> {
    Loop(usize),
    WorkItem(Box<dyn WorkItem>, RunGuard<'a>),
}

impl WorkerPool {
    pub(crate) fn new(methods_max: usize, loops: usize) -> Self {
        Self {
            threads_max: methods_max + 2 * loops,
            spares_max: loops,
            threads: AtomicUsize::new(0),
            has_work: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// Creates the pool of a reactor without threads, whose work items run in
    /// [`run_item`](Self::run_item).
    pub(super) fn without_threads() -> Self {
        Self { threads_max: 0, ..Self::new(0, 0) }
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
    pub(super) fn add_work(&self, reactor: &Arc<Reactor>, item: Box<dyn WorkItem>) {
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
    pub(super) fn take_work(&self) -> Vec<Box<dyn WorkItem>> {
        let mut state = self.state();
        self.has_work.store(false, Ordering::SeqCst);
        state.items.take_all()
    }

    /// Wakes or starts one thread if an event loop or a work item needs one. That thread then finds
    /// the next thread itself, so that no event loop is delayed while many threads start.
    pub(crate) fn find_thread(&self, reactor: &Arc<Reactor>) -> io::Result<()> {
        let mut state = self.state();
        let has_item = state.items.may_start() && reactor.method_limit.has_room();
        if self.threads_max == 0 {
            drop(state);
            if has_item {
                // The thread that dispatches runs it.
                reactor.look_around();
            }
            return Ok(());
        }
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
    fn next<'a>(&self, context: LoopContext<'a>, mut came: bool) -> Option<NextWork<'a>> {
        let mut state = self.state();
        loop {
            if std::mem::take(&mut came) {
                state.coming = state.coming.saturating_sub(1);
            }
            let found = match state.free.pop_front() {
                Some(index) => Some(NextWork::Loop(index)),
                None => self.start_item(&mut state, context),
            };
            if found.is_some() {
                let more = !state.free.is_empty() || !state.items.is_empty();
                drop(state);
                if more {
                    let _ = self.find_thread(context.reactor);
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
    fn start_item<'a>(
        &self,
        state: &mut PoolState,
        context: LoopContext<'a>,
    ) -> Option<NextWork<'a>> {
        if state.items.is_empty() {
            return None;
        }
        let running = context.try_start()?;
        let Some(item) = state.items.start_first() else {
            running.end_work();
            return None;
        };
        self.has_work.store(!state.items.is_empty(), Ordering::SeqCst);
        Some(NextWork::WorkItem(item, running))
    }

    /// Runs a work item on this thread, which dispatches the events of a reactor without threads.
    /// Returns `false` if none may start. If more may start, this thread has another turn for them,
    /// so that other clients have theirs in between.
    pub(super) fn run_item(&self, context: LoopContext<'_>) -> bool {
        let started = self.start_item(&mut self.state(), context);
        let Some(NextWork::WorkItem(item, running)) = started else { return false };
        item.run(context);
        running.end();
        true
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
    let (waiting_slot, waiting_reactor) = (slot.clone(), reactor.clone());
    let _before_wait =
        BeforeWait::call(move |wait| waiting_slot.before_wait(&waiting_reactor, wait));
    let context = LoopContext { reactor, slot: &slot };
    let mut came = true;
    while let Err(text) = contain(|| work_on(context, &mut came)) {
        crate::log::error!(panic = %text, "a thread of the server panicked");
        slot.recover(reactor);
    }
}

fn work_on(context: LoopContext<'_>, came: &mut bool) {
    while let Some(assignment) = context.reactor.workers.next(context, std::mem::take(came)) {
        match assignment {
            NextWork::Loop(index) => run_loop(context, index),
            NextWork::WorkItem(item, running) => {
                item.run(context);
                running.end_work();
            }
        }
        context.slot.assign(Assignment::Nothing);
        context.reactor.check_idle();
    }
}

/// Runs an event loop until the server ends or another thread takes the loop over.
fn run_loop(context: LoopContext<'_>, index: usize) {
    let LoopContext { reactor, slot } = context;
    let event_loop = reactor.event_loop(index);
    slot.assign(Assignment::Loop(index));
    let (mut caller, mut alone) = (LastCaller::<dyn LoopClient>::default(), false);
    while !reactor.is_stopped() {
        let Some(ready) = event_loop.next() else {
            if caller.calls_often().is_some_and(|client| client.dedicate(context, index)) {
                return;
            }
            match wait(event_loop, &caller) {
                Ok(count) => alone = count == 1,
                Err(error) => {
                    crate::log::error!(%error, "the server can't wait for its clients");
                    reactor.stop();
                }
            }
            continue;
        };
        match event_loop.handle(context, ready) {
            EventOutcome::Called(client, took) => {
                if caller.called(&client, alone, took) {
                    if let Some(other) = reactor.sleeping_loop() {
                        client.move_to(other, reactor);
                    }
                }
            }
            EventOutcome::Otherwise => caller.other_work(),
            EventOutcome::Lost => return,
        }
    }
}

/// Waits until a source becomes ready. A client that has called from another core may call again
/// soon, so this thread first spins for a short time.
fn wait(event_loop: &EventLoop, caller: &LastCaller<dyn LoopClient>) -> io::Result<usize> {
    if let Some(client) = caller.client().filter(|_| !event_loop.has_ready()) {
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

/// How long an idle thread sleeps. A thread that is needed is woken earlier.
const LONG: Duration = Duration::from_secs(3600);
