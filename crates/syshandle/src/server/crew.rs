//! The threads of a server.
//!
//! Each event loop is run by one thread at a time, which does everything that follows from what
//! becomes ready: it receives, runs the method and replies. No work is handed on between threads,
//! with three exceptions. When a method takes long, the sentinel gives the loop to another thread. A
//! method that is known to be slow, and whatever would exceed the limit of methods that run at once,
//! becomes a task for a worker thread. A client that calls alone, again and again, has a thread stay
//! with it, asleep where only that client wakes it; that thread gives up its loop before.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use super::connection::Connection;
use super::queue::TaskQueue;
use super::reactor::Reactor;
use super::receiving::Acted;
use super::sentinel::{Held, Post, Running};
use super::session::Session;
use super::task::Task;
use crate::sync::atomic::{AtomicBool, AtomicUsize};
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, MutexGuard, contain, often};

/// The threads of a server.
#[derive(Debug)]
pub(crate) struct Crew {
    /// Limit of methods, and of other user code, that run at once.
    methods_max: usize,
    /// Limit of threads, except for those that an event loop needs: one for each method, one for each
    /// loop, and one for each client that a thread may stay with.
    threads_max: usize,
    /// Limit of threads that wait to be needed. A burst of slow methods leaves no more.
    spares_max: usize,
    /// Changes under the lock.
    threads: AtomicUsize,
    /// Whether tasks wait. Changes under the lock.
    has_tasks: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Loops that no thread runs.
    free: VecDeque<usize>,
    tasks: TaskQueue,
    /// Threads that sleep until there is something for them.
    spares: Vec<Thread>,
    /// Threads that were started or woken and have not asked for an assignment yet.
    coming: usize,
    dismissed: bool,
}

/// The next thing that a thread does.
/// The next thing that a thread does.
#[expect(clippy::large_enum_variant, reason = "one is moved at a time, and none is kept")]
enum Assignment<'p> {
    Loop(usize),
    Task(Task, Running<'p>),
}

impl Crew {
    pub(crate) fn new(methods_max: usize, loops: usize) -> Self {
        Self {
            methods_max,
            threads_max: methods_max + 2 * loops,
            spares_max: loops,
            threads: AtomicUsize::new(0),
            has_tasks: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// Limit of methods that run at once, if there are enough threads to exceed it.
    #[inline]
    pub(super) fn limit(&self) -> Option<usize> {
        (self.threads() > self.methods_max).then_some(self.methods_max)
    }

    /// Has another thread run a loop.
    ///
    /// # Errors
    /// The system has no room for a thread. The first thread that is free runs the loop.
    pub(crate) fn hand_over(&self, reactor: &Arc<Reactor>, index: usize) -> io::Result<()> {
        self.state().free.push_back(index);
        self.find_thread(reactor)
    }

    /// Has a worker thread do a task, as soon as fewer methods run than may.
    pub(super) fn add_task(&self, reactor: &Arc<Reactor>, task: Task) {
        let mut state = self.state();
        if state.dismissed {
            drop(state);
            drop(task.refuse(reactor));
            return;
        }
        state.tasks.push(task);
        self.has_tasks.store(true, Ordering::SeqCst);
        drop(state);
        // Without a thread now, the sentinel or the first thread that is free finds one.
        let _ = self.find_thread(reactor);
    }

    /// Whether tasks wait for a thread or for a method to end.
    #[inline]
    pub(super) fn has_tasks(&self) -> bool {
        self.has_tasks.load(Ordering::SeqCst)
    }

    /// Takes the tasks that have not begun.
    pub(super) fn take_tasks(&self) -> Vec<Task> {
        let mut state = self.state();
        self.has_tasks.store(false, Ordering::SeqCst);
        state.tasks.take_all()
    }

    /// Wakes or starts a thread if there is a loop or a task for one more. A thread that comes finds
    /// the next one itself, so that no event loop waits while many threads start.
    pub(crate) fn find_thread(&self, reactor: &Arc<Reactor>) -> io::Result<()> {
        let mut state = self.state();
        let has_task = state.tasks.may_start() && reactor.sentinel.has_room(reactor);
        if state.coming >= state.free.len() + usize::from(has_task) {
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

    /// Whether a thread could be had for a loop.
    pub(crate) fn has_another(&self) -> bool {
        let state = self.state();
        !state.spares.is_empty() || self.threads() < self.threads_max
    }

    /// Whether a loop waits for a thread.
    pub(super) fn has_free_loop(&self) -> bool {
        !self.state().free.is_empty()
    }

    /// Waits for something to do; `None` when this thread is not needed any more. `came` says that
    /// the thread was just started.
    fn next<'p>(
        &self,
        reactor: &Arc<Reactor>,
        post: &'p Post,
        mut came: bool,
    ) -> Option<Assignment<'p>> {
        let mut state = self.state();
        loop {
            if std::mem::take(&mut came) {
                state.coming = state.coming.saturating_sub(1);
            }
            let found = match state.free.pop_front() {
                Some(index) => Some(Assignment::Loop(index)),
                None => self.start_task(&mut state, reactor, post),
            };
            if found.is_some() {
                let more = !state.free.is_empty() || !state.tasks.is_empty();
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
            // `find_thread` has taken it out, unless it woke by itself.
            let count = state.spares.len();
            state.spares.retain(|spare| spare.id() != this.id());
            came = state.spares.len() == count;
        }
    }

    /// Takes a task and begins to run it, unless as many methods run as may.
    fn start_task<'p>(
        &self,
        state: &mut State,
        reactor: &Arc<Reactor>,
        post: &'p Post,
    ) -> Option<Assignment<'p>> {
        if state.tasks.is_empty() {
            return None;
        }
        let running = reactor.sentinel.try_start(post, reactor)?;
        let Some(task) = state.tasks.start_first() else {
            running.end_task();
            return None;
        };
        self.has_tasks.store(!state.tasks.is_empty(), Ordering::SeqCst);
        Some(Assignment::Task(task, running))
    }

    /// Has the threads end that wait to be needed.
    pub(crate) fn dismiss(&self) {
        let mut state = self.state();
        state.dismissed = true;
        let spares = std::mem::take(&mut state.spares);
        drop(state);
        spares.iter().for_each(Thread::unpark);
    }

    fn threads(&self) -> usize {
        self.threads.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs loops and tasks until the end, or until this thread is not needed any more.
///
/// User code is guarded where it is called. If this thread unwinds all the same, it gives up what it
/// has and goes on: an event loop is never lost.
fn work(reactor: &Arc<Reactor>) {
    let post = reactor.sentinel.post();
    let mut came = true;
    while let Err(text) = contain(|| work_on(reactor, &post, &mut came)) {
        crate::log::error!(%text, "a thread of the server panicked");
        post.recover(reactor);
    }
}

fn work_on(reactor: &Arc<Reactor>, post: &Arc<Post>, came: &mut bool) {
    while let Some(assignment) = reactor.crew.next(reactor, post, std::mem::take(came)) {
        match assignment {
            Assignment::Loop(index) => run_loop(reactor, index, post),
            Assignment::Task(task, running) => {
                task.run(reactor, post);
                running.end_task();
            }
        }
        post.hold(Held::Nothing);
        reactor.check_idle();
    }
}

/// Runs a loop until the end, or until another thread does.
fn run_loop(reactor: &Arc<Reactor>, index: usize, post: &Arc<Post>) {
    let event_loop = reactor.event_loop(index);
    post.hold(Held::Loop(index));
    event_loop.newest.attend();
    let (mut caller, mut alone) = (Caller::default(), false);
    while !reactor.is_stopped() {
        let Some(ready) = event_loop.next() else {
            if caller.calls >= STAY_AFTER
                && let Some(client) = caller.client.upgrade()
                && client.stay(reactor, index, post)
            {
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
        let acted = reactor.act(ready, post);
        reactor.check_idle();
        match acted {
            Acted::Called(client, took) => {
                if caller.called(&client, alone, took)
                    && let Some(other) = reactor.sleeping_loop()
                {
                    client.move_to(other, reactor);
                }
            }
            Acted::Worked(session) if caller.is(&session) => {}
            Acted::Worked(_) | Acted::Otherwise => caller.calls = 0,
            Acted::Lost => return,
        }
    }
}

/// Waits until something becomes ready. Who has called from another core may call again soon: then
/// it is looked for that for a moment, before this thread sleeps.
fn wait(reactor: &Reactor, index: usize, caller: &Caller) -> io::Result<usize> {
    let event_loop = reactor.event_loop(index);
    if let Some(client) = caller.client.upgrade() {
        let mut looking = client.start_looking();
        while looking.again() {
            let count = event_loop.look()?;
            if count > 0 {
                looking.came();
                return Ok(count);
            }
        }
    }
    event_loop.wait(reactor)
}

/// The client whose call was the last one of a loop.
#[derive(Default)]
struct Caller {
    client: Weak<Connection>,
    /// How often in a row nobody else did anything.
    calls: u32,
    /// How often somebody called while another one's method took long enough to wait for.
    waits: u32,
}

impl Caller {
    /// Takes note of a call; whether its client had better be in another loop, where nothing is to
    /// be done: because it isn't the only one here, and each keeps the others waiting.
    fn called(&mut self, client: &Arc<Connection>, alone: bool, took: Duration) -> bool {
        let same = std::ptr::eq(self.client.as_ptr(), Arc::as_ptr(client));
        if !same {
            self.client = Arc::downgrade(client);
        }
        self.count(same, alone, took)
    }

    /// Whether this is its session.
    fn is(&self, session: &Arc<Session>) -> bool {
        self.client.upgrade().is_some_and(|client| Arc::ptr_eq(client.session(), session))
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

/// To wait for a method that takes less costs no more than to wake another thread.
const WORTH_A_MOVE: Duration = Duration::from_micros(50);

/// So many calls in a row, each of another client than the one before, and one of them moves.
const MOVE_AFTER: u32 = 8;

/// So many calls in a row, with nobody else there, and a thread stays with that client. To begin and
/// to end that costs as much as some calls.
const STAY_AFTER: u32 = often(16);

/// Whoever needs a thread wakes it.
const LONG: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_others_waiting_again_and_again_is_to_move_and_others_are_not() {
        let (quick, long) = (Duration::from_micros(5), Duration::from_micros(500));
        let mut caller = Caller::default();
        // Alone, it may take as long as it likes.
        assert!((0..100).all(|_| !caller.count(true, true, long)));
        assert!(caller.calls >= STAY_AFTER);
        assert!((0..100).all(|_| !caller.count(false, false, quick)));
        let moves = (0..3 * MOVE_AFTER).filter(|_| caller.count(false, true, long)).count();
        assert_eq!(moves, 3);
        assert_eq!(caller.calls, 0);
    }
}
