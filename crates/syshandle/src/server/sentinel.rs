//! Looks after methods that take long.
//!
//! While a thread runs a method, nobody else runs its loop: that is the quick way. When a method has
//! run for [`LONG`], the sentinel gives the loop to another thread; or the client, where the thread
//! stays with one, back to its loop. The thread learns that when the method has come to its end.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use super::connection::Connection;
use super::reactor::Reactor;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, MutexGuard, OnceLock, now};

/// Looks after the threads of a reactor, on the thread that waits for the server's end; where there
/// is none, on one of its own. It sleeps while no calls run.
#[derive(Debug, Default)]
pub(crate) struct Sentinel {
    posts: Mutex<Posts>,
    thread: OnceLock<Thread>,
    asleep: AtomicBool,
    watches: AtomicBool,
}

#[derive(Debug, Default)]
struct Posts {
    all: Vec<Weak<Post>>,
    last: u64,
}

/// The place of one thread: what it has, and whether it runs a method.
#[derive(Debug)]
pub(crate) struct Post {
    number: u64,
    /// Counts methods: odd while one runs, with a mark when what the thread had was given away.
    turn: AtomicU64,
    held: Mutex<Held>,
}

/// What only one thread has at a time.
#[derive(Debug)]
pub(crate) enum Held {
    Nothing,
    /// It runs this loop.
    Loop(usize),
    /// It stays with this client.
    Client(Arc<Connection>),
}

impl Sentinel {
    /// A place for this thread.
    pub(crate) fn post(&self) -> Arc<Post> {
        let mut posts = self.posts();
        posts.last += 1;
        let (number, turn) = (posts.last, AtomicU64::new(0));
        let post = Arc::new(Post { number, turn, held: Mutex::new(Held::Nothing) });
        posts.all.retain(|post| post.strong_count() > 0);
        posts.all.push(Arc::downgrade(&post));
        post
    }

    /// A method begins on a thread, once there are few enough that run.
    pub(crate) fn start_in_turn<'p>(&self, post: &'p Post, reactor: &Arc<Reactor>) -> Running<'p> {
        while let Some(limit) = reactor.crew.limit() {
            let posts = self.posts();
            let runs = |post: &&Weak<Post>| post.upgrade().is_some_and(|post| post.runs());
            if posts.all.iter().filter(runs).count() < limit {
                return post.start_running(reactor);
            }
            drop(posts);
            thread::sleep(TURN);
        }
        post.start_running(reactor)
    }

    fn posts(&self) -> MutexGuard<'_, Posts> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks after methods on this thread, until the end.
    ///
    /// # Errors
    /// Those of waiting for the end, where another thread does that already.
    pub(crate) fn run(&self, reactor: &Arc<Reactor>) -> io::Result<()> {
        let mut first = false;
        self.thread.get_or_init(|| {
            first = true;
            thread::current()
        });
        reactor.start()?;
        if first {
            watch(&Arc::downgrade(reactor));
        }
        // Or another thread looks after methods already.
        reactor.wait_for_end()
    }

    /// Whether methods that take long are looked after: not where no thread could be had for it.
    pub(super) fn watches(&self) -> bool {
        self.watches.load(Ordering::Relaxed)
    }

    /// The end has come.
    pub(crate) fn wake_to_end(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Has the sentinel's thread look from now on.
    fn wake(&self, reactor: &Arc<Reactor>) {
        if let Some(thread) = self.thread.get() {
            if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
                thread.unpark();
            }
            return;
        }
        // One of those who come here first starts it.
        let mut started = false;
        let weak = Arc::downgrade(reactor);
        self.thread.get_or_init(|| {
            started = true;
            match thread::start("syshandle-sentinel", move || watch(&weak)) {
                Ok(thread) => thread,
                Err(error) => {
                    tracing::warn!(%error, "no thread looks after methods that take long");
                    thread::current()
                }
            }
        });
        if started {
            tracing::trace!("the sentinel has started");
        }
    }
}

impl Post {
    /// The thread has this from now on, and what it had before no more.
    pub(crate) fn hold(&self, held: Held) {
        drop(std::mem::replace(&mut *self.held(), held));
    }

    /// Gives away what the thread has: it is about to do what takes long.
    pub(crate) fn give_up(&self, reactor: &Arc<Reactor>) {
        let held = std::mem::replace(&mut *self.held(), Held::Nothing);
        held.give_to_others(reactor);
    }

    /// A method begins.
    pub(crate) fn start_running(&self, reactor: &Arc<Reactor>) -> Running<'_> {
        let turn = self.turn.fetch_add(1, Ordering::SeqCst) + 1;
        reactor.sentinel.wake(reactor);
        Running { post: self, turn }
    }

    fn runs(&self) -> bool {
        self.turn.load(Ordering::SeqCst) % 2 == 1
    }

    /// Gives away what the thread has, if it still runs this method.
    fn take_over(&self, turn: u64, reactor: &Arc<Reactor>) {
        // The thread may end the method at any time, and take something else after that.
        let mut held = self.held();
        let (given_away, order) = (turn | GIVEN_AWAY, Ordering::SeqCst);
        if self.turn.compare_exchange(turn, given_away, order, order).is_err() {
            return;
        }
        let given = std::mem::replace(&mut *held, Held::Nothing);
        drop(held);
        given.give_to_others(reactor);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn give_to_others(self, reactor: &Arc<Reactor>) {
        match self {
            Self::Nothing => {}
            // Without a thread for it now, one is looked for again.
            Self::Loop(index) => drop(reactor.crew.hand_over(reactor, index)),
            Self::Client(connection) => connection.rejoin(reactor),
        }
    }
}

/// A method that runs.
#[must_use]
pub(crate) struct Running<'p> {
    post: &'p Post,
    turn: u64,
}

impl Running<'_> {
    /// The method has come to its end; whether the thread still has what it had.
    pub(crate) fn end(self) -> bool {
        self.post.turn.swap(self.turn + 1, Ordering::SeqCst) == self.turn
    }
}

/// Marks the turn of a thread that has nothing any more.
const GIVEN_AWAY: u64 = 1 << 63;

/// What the sentinel's thread does until the reactor is gone.
fn watch(reactor: &Weak<Reactor>) {
    if let Some(reactor) = reactor.upgrade() {
        reactor.sentinel.watches.store(true, Ordering::Relaxed);
    }
    let mut seen: Vec<(u64, u64)> = Vec::new();
    let mut seen_now = Vec::new();
    let mut posts: Vec<Arc<Post>> = Vec::new();
    let mut quiet_since = now();
    loop {
        // Not asleep for so long: whoever ends the server wakes this thread.
        thread::park_timeout(LONG);
        let Some(reactor) = reactor.upgrade().filter(|reactor| !reactor.is_stopped()) else {
            return;
        };
        posts.extend(reactor.sentinel.posts().all.iter().filter_map(Weak::upgrade));
        seen_now.clear();
        for post in &posts {
            let turn = post.turn.load(Ordering::SeqCst);
            let runs = turn % 2 == 1 && turn & GIVEN_AWAY == 0;
            if runs && seen.contains(&(post.number, turn)) {
                // The same method as a while ago.
                post.take_over(turn, &reactor);
            }
            if !seen.contains(&(post.number, turn)) {
                quiet_since = now();
            }
            seen_now.push((post.number, turn));
        }
        // Where there was no thread for a loop there may be one now.
        let _ = reactor.crew.find_thread(&reactor);
        std::mem::swap(&mut seen, &mut seen_now);
        if now() - quiet_since > QUIET {
            reactor.sentinel.asleep.store(true, Ordering::SeqCst);
            let changed = |post: &Arc<Post>| {
                let turn = post.turn.load(Ordering::SeqCst);
                !seen.contains(&(post.number, turn))
            };
            if posts.iter().any(changed) {
                // One that began before it could know that it is to wake this thread.
                posts.clear();
                continue;
            }
            posts.clear();
            drop(reactor);
            // Whoever starts a method wakes it; the timeout only lets it see the reactor's end.
            thread::park_timeout(Duration::from_secs(1));
            quiet_since = now();
        }
        posts.clear();
    }
}

/// A method that has run for this long, and for no more than twice as long, has taken long. Less
/// would cost every call: a timer's interrupt takes tens of microseconds on a virtual machine. It
/// is waited for once: which methods are slow is remembered.
const LONG: Duration = Duration::from_millis(10);

/// How long it takes at the most until a method notices that another one has ended, where as many ran
/// as may.
const TURN: Duration = Duration::from_millis(1);

/// When nothing has happened for this long the sentinel sleeps.
const QUIET: Duration = Duration::from_millis(50);
