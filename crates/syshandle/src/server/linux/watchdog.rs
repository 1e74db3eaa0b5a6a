//! The watchdog: moves event loops away from methods that run long.
//!
//! While a thread runs a method, no other thread runs its loop. This is the fast path. When a
//! method has run for [`LONG`], the watchdog gives the loop to another thread. If the thread is
//! dedicated to a client, the watchdog returns the client to its loop after [`DEDICATED_LONG`]. The
//! thread learns of this when the method has ended. The next calls of this method run beside the
//! loops, and for [`CALM`] so does all user code of unknown speed.

use std::io;
use std::sync::atomic::{AtomicBool as StdAtomicBool, AtomicU64 as StdAtomicU64, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use super::connection::ServerConnection;
use super::method_times::MethodId;
use super::reactor::Reactor;
use crate::quota::{Quota, QuotaGuard, Resource};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, MutexGuard, OnceLock, contain, now};

/// The watchdog of a reactor. It runs on the thread that waits for the end of the server, or on a
/// thread of its own if there is no such thread. It sleeps while no methods run.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    slots: Mutex<WorkerSlots>,
    thread: OnceLock<Thread>,
    pace: AtomicUsize,
    watches: AtomicBool,
    /// Whether user code of unknown speed runs beside the loops, because a method has recently
    /// blocked a loop.
    cautious: AtomicBool,
}

/// The pace: how often the watchdog checks the threads.
mod pace {
    pub(super) const ASLEEP: usize = 0;
    /// No loop waits for a method, and only dedicated threads run methods.
    pub(super) const SLOW: usize = 1;
    /// Loops wait for methods.
    pub(super) const FAST: usize = 2;
}

#[derive(Debug, Default)]
struct WorkerSlots {
    all: Vec<Weak<WorkerSlot>>,
    last: u64,
}

/// The slot of one worker thread: its loop or client, and whether it runs user code.
#[derive(Debug)]
pub(crate) struct WorkerSlot {
    number: u64,
    /// Counts starts and ends of user code, so the number is odd while user code runs.
    /// [`GIVEN_AWAY`] is set when the watchdog has taken the loop or client away.
    turn: AtomicU64,
    /// Whether the last assignment of the thread was an event loop.
    has_loop: StdAtomicBool,
    /// The [`MethodId`] of the running method.
    method_id: StdAtomicU64,
    assignment: Mutex<Assignment>,
}

/// The present assignment of a worker thread: a loop or a client that no other thread has.
#[derive(Debug)]
pub(crate) enum Assignment {
    Nothing,
    /// The thread runs this loop.
    Loop(usize),
    /// The thread is dedicated to this client.
    Client(Arc<ServerConnection>),
}

impl Watchdog {
    /// Creates a slot for this thread.
    pub(crate) fn new_slot(&self) -> Arc<WorkerSlot> {
        let mut slots = self.slots();
        slots.last += 1;
        let (number, turn) = (slots.last, AtomicU64::new(0));
        let (has_loop, method_id) = (StdAtomicBool::new(false), StdAtomicU64::new(0));
        let assignment = Mutex::new(Assignment::Nothing);
        let slot = Arc::new(WorkerSlot { number, turn, has_loop, method_id, assignment });
        slots.all.retain(|slot| slot.strong_count() > 0);
        slots.all.push(Arc::downgrade(&slot));
        slot
    }

    /// Marks the start of user code on this thread. Returns `None` if the limit of running methods
    /// is reached.
    #[inline]
    pub(crate) fn try_start<'p>(
        &self,
        slot: &'p WorkerSlot,
        reactor: &Arc<Reactor>,
    ) -> Option<RunGuard<'p>> {
        match reactor.workers.limit() {
            None => Some(slot.start_running(reactor)),
            Some(limit) => self.start_below(limit, slot, reactor),
        }
    }

    #[cold]
    fn start_below<'p>(
        &self,
        limit: usize,
        slot: &'p WorkerSlot,
        reactor: &Arc<Reactor>,
    ) -> Option<RunGuard<'p>> {
        let slots = self.slots();
        (slots.running() < limit).then(|| slot.start_running(reactor))
    }

    /// Marks the start of user code of unknown speed, and counts it among the running methods of
    /// the client that causes it. Returns `None` if the code has to run beside the loop.
    pub(super) fn try_start_unknown<'p>(
        &self,
        slot: &'p WorkerSlot,
        reactor: &Arc<Reactor>,
        client: &Arc<Quota>,
    ) -> Option<RunGuard<'p>> {
        if self.cautious.load(Ordering::Relaxed) {
            return None;
        }
        let quota_guard = client.take(Resource::Call, 0).ok()?;
        let mut running = self.try_start(slot, reactor)?;
        running.quota_guard = Some(quota_guard);
        Some(running)
    }

    /// Returns whether code of unknown speed runs beside the loops now.
    #[inline]
    pub(super) fn is_cautious(&self) -> bool {
        self.cautious.load(Ordering::Relaxed)
    }

    /// Returns whether one more method may run.
    pub(super) fn has_room(&self, reactor: &Reactor) -> bool {
        reactor.workers.limit().is_none_or(|limit| self.slots().running() < limit)
    }

    fn slots(&self) -> MutexGuard<'_, WorkerSlots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the server, and acts as the watchdog on this thread until the server ends.
    ///
    /// # Errors
    /// The thread of the first loop can't be started, or waiting for the end of the server failed.
    pub(crate) fn run(&self, reactor: &Arc<Reactor>) -> io::Result<()> {
        let is_watchdog = self.become_watchdog();
        reactor.start()?;
        self.wait_for_end(reactor, is_watchdog)
    }

    /// Acts as the watchdog of a server, whose threads were started, on this thread until the
    /// server ends.
    ///
    /// # Errors
    /// Waiting for the end of the server failed.
    pub(crate) fn watch(&self, reactor: &Arc<Reactor>) -> io::Result<()> {
        let is_watchdog = self.become_watchdog();
        self.wait_for_end(reactor, is_watchdog)
    }

    /// Makes this thread the watchdog. Returns `false` if there is one already.
    fn become_watchdog(&self) -> bool {
        let mut is_first = false;
        self.thread.get_or_init(|| {
            is_first = true;
            thread::current()
        });
        is_first
    }

    fn wait_for_end(&self, reactor: &Arc<Reactor>, is_watchdog: bool) -> io::Result<()> {
        if is_watchdog {
            keep_watching(&Arc::downgrade(reactor));
        }
        // If another thread is the watchdog already, this thread only waits.
        reactor.wait_for_end()
    }

    /// Returns whether the watchdog runs. It does not if its thread could not be started.
    pub(super) fn watches(&self) -> bool {
        self.watches.load(Ordering::Relaxed)
    }

    /// Wakes the watchdog because the server ends.
    pub(crate) fn wake_to_end(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Has the watchdog check at this pace or faster.
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
        // One of the first threads here starts the watchdog.
        let mut started = false;
        let weak = Arc::downgrade(reactor);
        self.thread.get_or_init(|| {
            started = true;
            match thread::start("syshandle-watchdog", move || keep_watching(&weak)) {
                Ok(thread) => thread,
                Err(error) => {
                    crate::log::warn!(%error, "the watchdog can't be started");
                    thread::current()
                }
            }
        });
        if started {
            crate::log::trace!("the watchdog has started");
        }
    }
}

impl WorkerSlots {
    /// Returns the number of threads that run user code.
    fn running(&self) -> usize {
        let runs = |slot: &&Weak<WorkerSlot>| slot.upgrade().is_some_and(|slot| slot.runs());
        self.all.iter().filter(runs).count()
    }
}

impl WorkerSlot {
    /// Sets the assignment of the thread, replacing the previous one.
    pub(crate) fn assign(&self, assignment: Assignment) {
        self.has_loop.store(matches!(assignment, Assignment::Loop(_)), Ordering::Relaxed);
        let before = std::mem::replace(&mut *self.assignment(), assignment);
        drop(before);
    }

    /// Sets the method that the thread runs next.
    #[inline]
    pub(super) fn set_method(&self, method_id: MethodId) {
        self.method_id.store(method_id.0, Ordering::Relaxed);
    }

    /// Cleans up after a panic of the thread: marks the end of its method and gives its loop or
    /// client away.
    pub(super) fn recover(&self, reactor: &Arc<Reactor>) {
        let turn = self.turn.load(Ordering::SeqCst) & !GIVEN_AWAY;
        self.turn.store(turn + turn % 2, Ordering::SeqCst);
        self.give_up(reactor);
    }

    /// Gives the thread's loop or client away, because the thread starts something that takes long.
    pub(crate) fn give_up(&self, reactor: &Arc<Reactor>) {
        let assignment = std::mem::replace(&mut *self.assignment(), Assignment::Nothing);
        assignment.give_to_others(reactor);
    }

    /// Marks the start of user code.
    pub(crate) fn start_running(&self, reactor: &Arc<Reactor>) -> RunGuard<'_> {
        let turn = self.turn.fetch_add(1, Ordering::SeqCst) + 1;
        let has_loop = self.has_loop.load(Ordering::Relaxed);
        reactor.watchdog.wake(reactor, if has_loop { pace::FAST } else { pace::SLOW });
        RunGuard { slot: self, turn, quota_guard: None }
    }

    fn runs(&self) -> bool {
        self.turn.load(Ordering::SeqCst) % 2 == 1
    }

    /// Gives the thread's loop or client away, if the thread still runs the same method.
    fn take_over(&self, turn: u64, reactor: &Arc<Reactor>) {
        // The thread may end the method at any time and then take another assignment. The lock
        // prevents the latter.
        let mut assignment = self.assignment();
        let (given_away, order) = (turn | GIVEN_AWAY, Ordering::SeqCst);
        if self.turn.compare_exchange(turn, given_away, order, order).is_err() {
            return;
        }
        let taken_over = std::mem::replace(&mut *assignment, Assignment::Nothing);
        drop(assignment);
        if !matches!(taken_over, Assignment::Nothing) {
            reactor.methods.mark_slow(MethodId(self.method_id.load(Ordering::Relaxed)));
            reactor.watchdog.cautious.store(true, Ordering::Relaxed);
        }
        taken_over.give_to_others(reactor);
    }

    fn assignment(&self) -> MutexGuard<'_, Assignment> {
        self.assignment.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Assignment {
    fn give_to_others(self, reactor: &Arc<Reactor>) {
        match self {
            Self::Nothing => {}
            // If no thread can start now, the watchdog retries.
            Self::Loop(index) => drop(reactor.workers.hand_over(reactor, index)),
            Self::Client(connection) => connection.rejoin(reactor),
        }
    }
}

/// User code that runs, from its start to its end.
#[must_use]
pub(crate) struct RunGuard<'p> {
    slot: &'p WorkerSlot,
    turn: u64,
    /// Counts user code other than calls among the client's running methods.
    quota_guard: Option<QuotaGuard>,
}

impl RunGuard<'_> {
    /// Marks the end of user code. Returns whether the thread still has its loop or client.
    #[inline]
    pub(crate) fn end(self, reactor: &Arc<Reactor>) -> bool {
        drop(self.quota_guard);
        let still_has = self.slot.turn.swap(self.turn + 1, Ordering::SeqCst) == self.turn;
        if reactor.workers.has_work() {
            // A work item may wait for this end.
            let _ = reactor.workers.find_thread(reactor);
        }
        still_has
    }

    /// Marks the end of a work item on a worker thread, which finds its next work item itself.
    pub(super) fn end_work(self) {
        self.slot.turn.store(self.turn + 1, Ordering::SeqCst);
    }
}

/// The bit in [`WorkerSlot::turn`] that marks a thread without loop or client.
const GIVEN_AWAY: u64 = 1 << 63;

/// Runs the watchdog until the reactor is gone.
fn keep_watching(reactor: &Weak<Reactor>) {
    while let Err(text) = contain(|| watch(reactor)) {
        crate::log::error!(panic = %text, "the watchdog panicked");
        // The cause of the panic may persist.
        thread::park_timeout(CALM);
    }
}

fn watch(reactor: &Weak<Reactor>) {
    if let Some(reactor) = reactor.upgrade() {
        reactor.watchdog.watches.store(true, Ordering::Relaxed);
    }
    let mut seen: Vec<(u64, u64)> = Vec::new();
    let mut seen_now = Vec::new();
    let mut slots: Vec<Arc<WorkerSlot>> = Vec::new();
    let start = now();
    // The time of the last start or end of any user code, the time of the last such event on a
    // thread with a loop, and the time when a loop or client was last taken away.
    let (mut active, mut active_in_loop, mut given_away) = (start, start, None);
    let mut told_to_end = None;
    let mut pace = pace::FAST;
    loop {
        // A faster pace or the end of the server wakes this thread early.
        thread::park_timeout(match pace {
            pace::ASLEEP => DOZE,
            pace::SLOW => DEDICATED_LONG,
            _ => LONG,
        });
        let Some(reactor) = reactor.upgrade().filter(|reactor| !reactor.is_stopped()) else {
            return;
        };
        let watchdog = &reactor.watchdog;
        let now = now();
        if reactor.is_told_to_end() && reactor.is_overdue(*told_to_end.get_or_insert(now), now) {
            return reactor.stop();
        }
        slots.extend(watchdog.slots().all.iter().filter_map(Weak::upgrade));
        seen_now.clear();
        for slot in &slots {
            let turn = slot.turn.load(Ordering::SeqCst);
            let runs = turn % 2 == 1 && turn & GIVEN_AWAY == 0;
            let is_new = !seen.contains(&(slot.number, turn));
            if runs && !is_new {
                // The thread ran the same method at the last check.
                slot.take_over(turn, &reactor);
                given_away = Some(now);
            }
            if is_new {
                active = now;
            }
            if (is_new || runs) && slot.has_loop.load(Ordering::Relaxed) {
                active_in_loop = now;
            }
            seen_now.push((slot.number, turn));
        }
        std::mem::swap(&mut seen, &mut seen_now);
        if given_away.is_some_and(|given_away| now - given_away > CALM) {
            given_away = None;
            watchdog.cautious.store(false, Ordering::Relaxed);
        }
        // A loop or work item that could not get a thread before may get one now.
        let _ = reactor.workers.find_thread(&reactor);
        let wanted = match () {
            () if now - active_in_loop <= QUIET || reactor.workers.has_free_loop() => pace::FAST,
            () if now - active <= QUIET || given_away.is_some() => pace::SLOW,
            () => pace::ASLEEP,
        };
        pace = watchdog.pace.swap(wanted, Ordering::SeqCst);
        if pace > wanted {
            // User code may have started before its thread could see the slower pace, so that the
            // thread did not wake the watchdog.
            let matters = |slot: &Arc<WorkerSlot>| {
                let turn = slot.turn.load(Ordering::SeqCst);
                let counts = wanted == pace::ASLEEP || slot.has_loop.load(Ordering::Relaxed);
                counts && !seen.contains(&(slot.number, turn))
            };
            if slots.iter().any(matters) {
                watchdog.pace.fetch_max(pace, Ordering::SeqCst);
            } else {
                pace = wanted;
            }
        } else {
            pace = wanted;
        }
        slots.clear();
    }
}

/// Time after which a method that blocks a loop counts as long. The watchdog acts within twice this
/// time.
const LONG: Duration = Duration::from_millis(1);

/// Time after which a method on a dedicated thread counts as long. Such a method delays only its
/// own client. More frequent checks would slow down every call, because a timer interrupt takes
/// tens of microseconds on a virtual machine.
const DEDICATED_LONG: Duration = Duration::from_millis(10);

/// Time without activity after which the watchdog slows down or sleeps.
const QUIET: Duration = Duration::from_millis(50);

/// Time for which user code of unknown speed runs beside the loops after a loop or client was taken
/// away.
const CALM: Duration = Duration::from_millis(100);

/// How often a sleeping watchdog checks whether its reactor is gone. The start of a method wakes
/// it.
const DOZE: Duration = Duration::from_secs(1);
