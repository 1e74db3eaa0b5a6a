//! The threads of a server.
//!
//! Each loop is run by one thread at a time, which does all that follows from what becomes ready: it
//! receives, runs the method and replies. No work is handed on between threads; but when a method
//! takes long, its thread gives up the loop (or the sentinel takes it), and another one runs it from
//! then on. A client that calls alone, again and again, has a thread stay with it, asleep where only
//! that client wakes it, and that thread gives up its loop before.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use super::connection::Connection;
use super::reactor::Reactor;
use super::receiving::Acted;
use super::sentinel::{Held, Post};
use super::session::Session;
use crate::sync::atomic::AtomicUsize;
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, MutexGuard, often};

/// The threads of a server.
#[derive(Debug)]
pub(crate) struct Crew {
    /// How many methods may run at once.
    methods_max: usize,
    /// How many threads there may be: so that each loop has one while so many methods run.
    threads_max: usize,
    /// How many wait to be needed, at the most: those that a burst of slow methods took don't stay.
    spares_max: usize,
    /// Changes under the lock.
    threads: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Loops that nobody runs.
    free: VecDeque<usize>,
    /// Threads that sleep until there is one.
    spares: Vec<Thread>,
    dismissed: bool,
}

impl Crew {
    pub(crate) fn new(methods_max: usize, loops: usize) -> Self {
        Self {
            methods_max,
            threads_max: methods_max + loops - 1,
            spares_max: loops,
            threads: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    /// How many methods may run at once, where there are enough threads for more.
    pub(super) fn limit(&self) -> Option<usize> {
        (self.threads() > self.methods_max).then_some(self.methods_max)
    }

    /// Has another thread run a loop. Where there is none, and there may be no more, the first one
    /// that has done what it is at does: then `false`.
    ///
    /// # Errors
    /// The system has no room for a thread; the same applies.
    pub(crate) fn hand_over(&self, reactor: &Arc<Reactor>, index: usize) -> io::Result<bool> {
        self.state().free.push_back(index);
        self.find_thread(reactor)
    }

    /// Has another thread run a loop that nobody runs, if there is one.
    pub(crate) fn find_thread(&self, reactor: &Arc<Reactor>) -> io::Result<bool> {
        let mut state = self.state();
        if state.free.is_empty() {
            return Ok(true);
        }
        if let Some(spare) = state.spares.pop() {
            drop(state);
            spare.unpark();
            return Ok(true);
        }
        if self.threads() >= self.threads_max {
            return Ok(false);
        }
        self.threads.fetch_add(1, Ordering::Relaxed);
        drop(state);
        let reactor = reactor.clone();
        let started = thread::start("syshandle", move || work(&reactor));
        started.map(|_| true).inspect_err(|error| {
            let _state = self.state();
            self.threads.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(%error, "no more threads can be started");
        })
    }

    /// Whether a thread could be had for a loop.
    pub(crate) fn has_another(&self) -> bool {
        let state = self.state();
        !state.spares.is_empty() || self.threads() < self.threads_max
    }

    /// Waits for a loop to run; `None` when this thread isn't needed any more.
    fn next(&self) -> Option<usize> {
        let mut state = self.state();
        loop {
            if let Some(index) = state.free.pop_front() {
                return Some(index);
            }
            if state.dismissed || state.spares.len() >= self.spares_max {
                self.threads.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
            let this = thread::current();
            state.spares.push(this.clone());
            drop(state);
            thread::park_timeout(LONG);
            state = self.state();
            // Whoever woke it has taken it out.
            state.spares.retain(|spare| spare.id() != this.id());
        }
    }

    /// Has those end that wait to be needed.
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

/// What each thread does until the end, or until it isn't needed any more.
fn work(reactor: &Arc<Reactor>) {
    let post = reactor.sentinel.post();
    while let Some(index) = reactor.crew.next() {
        run_loop(reactor, index, &post);
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
                    tracing::error!(%error, "the server can't wait for its clients");
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
