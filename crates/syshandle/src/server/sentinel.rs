//! Looks after methods that take long.
//!
//! The thread that receives from a connection also runs its calls: that is the quick way. While a
//! method runs, nobody receives there; so when one has run for [`LONG`], the sentinel gives the
//! connection back to the poller, and another thread receives what has come meanwhile: one that it
//! starts, if none waits.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use super::connection::Connection;
use super::reactor::Reactor;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, MutexGuard, OnceLock, now};

/// Looks after the threads of a reactor. It has a thread of its own, which sleeps while no calls
/// run.
#[derive(Debug, Default)]
pub(crate) struct Sentinel {
    posts: Mutex<Posts>,
    thread: OnceLock<Thread>,
    asleep: AtomicBool,
}

#[derive(Debug, Default)]
struct Posts {
    all: Vec<Weak<Post>>,
    last: u64,
}

/// The place of one thread.
#[derive(Debug)]
pub(crate) struct Post {
    number: u64,
    /// Counts methods: odd while one runs.
    turn: AtomicU64,
    /// The connection that the thread receives from.
    connection: Mutex<Option<Arc<Connection>>>,
}

impl Sentinel {
    /// A place for this thread.
    pub(crate) fn post(&self) -> Arc<Post> {
        let mut posts = self.posts();
        posts.last += 1;
        let (number, turn) = (posts.last, AtomicU64::new(0));
        let post = Arc::new(Post { number, turn, connection: Mutex::new(None) });
        posts.all.retain(|post| post.strong_count() > 0);
        posts.all.push(Arc::downgrade(&post));
        post
    }

    fn posts(&self) -> MutexGuard<'_, Posts> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// The thread's number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The thread receives from this connection.
    pub(crate) fn take(&self, connection: &Arc<Connection>) {
        *self.connection() = Some(connection.clone());
    }

    /// The thread receives from no connection.
    pub(crate) fn leave(&self) {
        *self.connection() = None;
    }

    /// A method begins; it ends when the value is dropped.
    pub(crate) fn start_running(&self, reactor: &Arc<Reactor>) -> Running<'_> {
        self.turn.fetch_add(1, Ordering::SeqCst);
        reactor.sentinel.wake(reactor);
        Running(self)
    }

    fn connection(&self) -> MutexGuard<'_, Option<Arc<Connection>>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A method that runs.
pub(crate) struct Running<'p>(&'p Post);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.turn.fetch_add(1, Ordering::SeqCst);
    }
}

/// What the sentinel's thread does until the reactor is gone.
fn watch(reactor: &Weak<Reactor>) {
    let mut seen: Vec<(u64, u64)> = Vec::new();
    let mut seen_now = Vec::new();
    let mut posts: Vec<Arc<Post>> = Vec::new();
    let mut quiet_since = now();
    loop {
        thread::sleep(LONG);
        let Some(reactor) = reactor.upgrade().filter(|reactor| !reactor.is_stopped()) else {
            return;
        };
        posts.extend(reactor.sentinel.posts().all.iter().filter_map(Weak::upgrade));
        seen_now.clear();
        let mut stuck = 0;
        for post in &posts {
            let turn = post.turn.load(Ordering::SeqCst);
            if turn % 2 == 1 && seen.contains(&(post.number, turn)) {
                // The same method as a while ago.
                stuck += 1;
                let connection = post.connection().clone();
                if let Some(connection) = connection {
                    let runs = || post.turn.load(Ordering::SeqCst) == turn;
                    connection.take_receiver_from(&reactor, post.number, runs);
                }
            }
            if !seen.contains(&(post.number, turn)) {
                quiet_since = now();
            }
            seen_now.push((post.number, turn));
        }
        if stuck > 0 && !reactor.another_waits() {
            reactor.start_threads(stuck);
        }
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

/// When nothing has happened for this long the sentinel sleeps.
const QUIET: Duration = Duration::from_millis(50);
