//! Moves event loops away from methods that take long.
//!
//! While a thread runs a method, no other thread runs its loop: that is the quick way. When a method
//! has run for [`LONG`], the sentinel gives the loop to another thread; or the client back to its
//! loop, if the thread stays with one. The thread learns that when the method has ended. The method,
//! and for a moment all user code of unknown speed, runs beside the loops from then on.

use std::io;
use std::sync::atomic::{AtomicBool as StdAtomicBool, AtomicU64 as StdAtomicU64, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use super::connection::Connection;
use super::reactor::Reactor;
use super::shares::{Part, Share, Taken};
use super::slow::MethodSite;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, MutexGuard, OnceLock, contain, now};

/// Looks after the threads of a reactor, on the thread that waits for the server's end; if there is
/// none, on a thread of its own. It sleeps while no methods run.
#[derive(Debug, Default)]
pub(crate) struct Sentinel {
    posts: Mutex<Posts>,
    thread: OnceLock<Thread>,
    pace: AtomicUsize,
    watches: AtomicBool,
    /// A method has just stopped a loop: others may do the same.
    cautious: AtomicBool,
}

/// How often the sentinel looks.
mod pace {
    pub(super) const ASLEEP: usize = 0;
    /// No loop waits for a method: only threads that stay with a client run some.
    pub(super) const SLOW: usize = 1;
    /// Loops wait for methods.
    pub(super) const FAST: usize = 2;
}

#[derive(Debug, Default)]
struct Posts {
    all: Vec<Weak<Post>>,
    last: u64,
}

/// The place of one thread: its loop or client, and whether it runs user code.
#[derive(Debug)]
pub(crate) struct Post {
    number: u64,
    /// Counts methods: odd while one runs, with a mark when what the thread had was given away.
    turn: AtomicU64,
    /// Whether the thread had a loop when it last took something.
    has_loop: StdAtomicBool,
    /// The [`MethodSite`] of the method that runs.
    site: StdAtomicU64,
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
        let (has_loop, site) = (StdAtomicBool::new(false), StdAtomicU64::new(0));
        let held = Mutex::new(Held::Nothing);
        let post = Arc::new(Post { number, turn, has_loop, site, held });
        posts.all.retain(|post| post.strong_count() > 0);
        posts.all.push(Arc::downgrade(&post));
        post
    }

    /// Begins to run user code on a thread, unless as much runs as may, and other tasks wait for an
    /// end of it already.
    #[inline]
    pub(crate) fn try_start<'p>(
        &self,
        post: &'p Post,
        reactor: &Arc<Reactor>,
    ) -> Option<Running<'p>> {
        match reactor.crew.limit() {
            None => Some(post.start_running(reactor)),
            Some(limit) => self.start_below(limit, post, reactor),
        }
    }

    #[cold]
    fn start_below<'p>(
        &self,
        limit: usize,
        post: &'p Post,
        reactor: &Arc<Reactor>,
    ) -> Option<Running<'p>> {
        let posts = self.posts();
        (posts.running() < limit).then(|| post.start_running(reactor))
    }

    /// Begins to run user code of unknown speed, which counts among the running methods of the client
    /// that causes it. Returns `None` if the code has to run beside the loop.
    pub(super) fn try_start_unknown<'p>(
        &self,
        post: &'p Post,
        reactor: &Arc<Reactor>,
        client: &Arc<Share>,
    ) -> Option<Running<'p>> {
        if self.cautious.load(Ordering::Relaxed) {
            return None;
        }
        let taken = client.take(Part::Call, 0).ok()?;
        let mut running = self.try_start(post, reactor)?;
        running.taken = Some(taken);
        Some(running)
    }

    /// Whether code of unknown speed runs beside the loops now.
    #[inline]
    pub(super) fn is_cautious(&self) -> bool {
        self.cautious.load(Ordering::Relaxed)
    }

    /// Whether one more method may run.
    pub(super) fn has_room(&self, reactor: &Reactor) -> bool {
        reactor.crew.limit().is_none_or(|limit| self.posts().running() < limit)
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
            keep_watching(&Arc::downgrade(reactor));
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

    /// Has the sentinel's thread look from now on, this often at least.
    #[inline]
    fn wake(&self, reactor: &Arc<Reactor>, pace: usize) {
        if self.pace.load(Ordering::SeqCst) < pace {
            self.set_pace(reactor, pace);
        }
    }

    #[cold]
    fn set_pace(&self, reactor: &Arc<Reactor>, pace: usize) {
        let last = self.pace.fetch_max(pace, Ordering::SeqCst);
        if let Some(thread) = self.thread.get() {
            if last < pace {
                thread.unpark();
            }
            return;
        }
        // One of those who come here first starts it.
        let mut started = false;
        let weak = Arc::downgrade(reactor);
        self.thread.get_or_init(|| {
            started = true;
            match thread::start("syshandle-sentinel", move || keep_watching(&weak)) {
                Ok(thread) => thread,
                Err(error) => {
                    crate::log::warn!(%error, "no thread looks after methods that take long");
                    thread::current()
                }
            }
        });
        if started {
            crate::log::trace!("the sentinel has started");
        }
    }
}

impl Posts {
    /// How many threads run user code.
    fn running(&self) -> usize {
        let runs = |post: &&Weak<Post>| post.upgrade().is_some_and(|post| post.runs());
        self.all.iter().filter(runs).count()
    }
}

impl Post {
    /// The thread has this from now on, and what it had before no more.
    pub(crate) fn hold(&self, held: Held) {
        self.has_loop.store(matches!(held, Held::Loop(_)), Ordering::Relaxed);
        let before = std::mem::replace(&mut *self.held(), held);
        drop(before);
    }

    /// The thread runs this method next.
    #[inline]
    pub(super) fn set_site(&self, site: MethodSite) {
        self.site.store(site.0, Ordering::Relaxed);
    }

    /// The thread has unwound: its method has ended, and another thread gets its loop or client.
    pub(super) fn recover(&self, reactor: &Arc<Reactor>) {
        let turn = self.turn.load(Ordering::SeqCst) & !GIVEN_AWAY;
        self.turn.store(turn + turn % 2, Ordering::SeqCst);
        self.give_up(reactor);
    }

    /// Gives away what the thread has: it is about to do what takes long.
    pub(crate) fn give_up(&self, reactor: &Arc<Reactor>) {
        let held = std::mem::replace(&mut *self.held(), Held::Nothing);
        held.give_to_others(reactor);
    }

    /// A method begins.
    pub(crate) fn start_running(&self, reactor: &Arc<Reactor>) -> Running<'_> {
        let turn = self.turn.fetch_add(1, Ordering::SeqCst) + 1;
        let has_loop = self.has_loop.load(Ordering::Relaxed);
        reactor.sentinel.wake(reactor, if has_loop { pace::FAST } else { pace::SLOW });
        Running { post: self, turn, taken: None }
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
        if !matches!(given, Held::Nothing) {
            reactor.methods.mark_slow(MethodSite(self.site.load(Ordering::Relaxed)));
            reactor.sentinel.cautious.store(true, Ordering::Relaxed);
        }
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
            // Without a thread for it now, the sentinel looks for one again.
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
    /// Counts user code that is no call.
    taken: Option<Taken>,
}

impl Running<'_> {
    /// The method has ended; whether the thread still has what it had.
    #[inline]
    pub(crate) fn end(self, reactor: &Arc<Reactor>) -> bool {
        drop(self.taken);
        let still_has = self.post.turn.swap(self.turn + 1, Ordering::SeqCst) == self.turn;
        if reactor.crew.has_tasks() {
            // One may have waited for this end.
            let _ = reactor.crew.find_thread(reactor);
        }
        still_has
    }

    /// A task has ended on a worker thread, which looks for the next one itself.
    pub(super) fn end_task(self) {
        self.post.turn.store(self.turn + 1, Ordering::SeqCst);
    }
}

/// Marks the turn of a thread that has nothing any more.
const GIVEN_AWAY: u64 = 1 << 63;

/// What the sentinel's thread does until the reactor is gone.
fn keep_watching(reactor: &Weak<Reactor>) {
    while let Err(text) = contain(|| watch(reactor)) {
        crate::log::error!(%text, "the sentinel panicked");
        // The cause of the panic may be there still.
        thread::park_timeout(CALM);
    }
}

fn watch(reactor: &Weak<Reactor>) {
    if let Some(reactor) = reactor.upgrade() {
        reactor.sentinel.watches.store(true, Ordering::Relaxed);
    }
    let mut seen: Vec<(u64, u64)> = Vec::new();
    let mut seen_now = Vec::new();
    let mut posts: Vec<Arc<Post>> = Vec::new();
    let start = now();
    // The last times when a method began or ended: any, and one that a loop waited for. And when a
    // loop was given away.
    let (mut active, mut active_in_loop, mut given_away) = (start, start, None);
    let mut told_to_end = None;
    let mut pace = pace::FAST;
    loop {
        // If the pace is raised meanwhile, this thread is woken; also by the server's end.
        thread::park_timeout(match pace {
            pace::ASLEEP => DOZE,
            pace::SLOW => STAYING_LONG,
            _ => LONG,
        });
        let Some(reactor) = reactor.upgrade().filter(|reactor| !reactor.is_stopped()) else {
            return;
        };
        let sentinel = &reactor.sentinel;
        let now = now();
        if reactor.is_told_to_end() && reactor.is_overdue(*told_to_end.get_or_insert(now), now) {
            return reactor.stop();
        }
        posts.extend(sentinel.posts().all.iter().filter_map(Weak::upgrade));
        seen_now.clear();
        for post in &posts {
            let turn = post.turn.load(Ordering::SeqCst);
            let runs = turn % 2 == 1 && turn & GIVEN_AWAY == 0;
            let is_new = !seen.contains(&(post.number, turn));
            if runs && !is_new {
                // The same method as at the last look.
                post.take_over(turn, &reactor);
                given_away = Some(now);
            }
            if is_new {
                active = now;
            }
            if (is_new || runs) && post.has_loop.load(Ordering::Relaxed) {
                active_in_loop = now;
            }
            seen_now.push((post.number, turn));
        }
        std::mem::swap(&mut seen, &mut seen_now);
        if given_away.is_some_and(|given_away| now - given_away > CALM) {
            given_away = None;
            sentinel.cautious.store(false, Ordering::Relaxed);
        }
        // Where there was no thread for a loop or a task there may be one now.
        let _ = reactor.crew.find_thread(&reactor);
        let wanted = match () {
            () if now - active_in_loop <= QUIET || reactor.crew.has_free_loop() => pace::FAST,
            () if now - active <= QUIET || given_away.is_some() => pace::SLOW,
            () => pace::ASLEEP,
        };
        pace = sentinel.pace.swap(wanted, Ordering::SeqCst);
        if pace > wanted {
            // A method may have begun before its thread could know that it is to wake this one.
            let matters = |post: &Arc<Post>| {
                let turn = post.turn.load(Ordering::SeqCst);
                let counts = wanted == pace::ASLEEP || post.has_loop.load(Ordering::Relaxed);
                counts && !seen.contains(&(post.number, turn))
            };
            if posts.iter().any(matters) {
                sentinel.pace.fetch_max(pace, Ordering::SeqCst);
            } else {
                pace = wanted;
            }
        } else {
            pace = wanted;
        }
        posts.clear();
    }
}

/// A method that a loop waits for has taken long when it has run for this long, and for no more than
/// twice as long.
const LONG: Duration = Duration::from_millis(1);

/// The same for a thread that stays with a client, which delays nobody but that client. To look more
/// often would cost every call: a timer's interrupt takes tens of microseconds on a virtual machine.
const STAYING_LONG: Duration = Duration::from_millis(10);

/// When nothing has happened for this long the sentinel looks less often, or sleeps.
const QUIET: Duration = Duration::from_millis(50);

/// For so long after a loop was given away, user code of unknown speed runs beside the loops.
const CALM: Duration = Duration::from_millis(100);

/// A sleeping sentinel is woken when a method starts. It looks this often whether its reactor is gone.
const DOZE: Duration = Duration::from_secs(1);
