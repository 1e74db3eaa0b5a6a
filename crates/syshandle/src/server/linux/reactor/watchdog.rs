//! The watchdog: moves event loops away from methods that run long.
//!
//! While a thread runs a method, no other thread runs its loop. This is the fast path. When a
//! method has run for [`LONG`], the watchdog gives the loop to another thread. If the thread is
//! dedicated to a client, the watchdog returns the client to its loop after [`DEDICATED_LONG`]. The
//! thread learns of this when the method has ended. The next calls of this method run beside the
//! loops, and for [`CALM`] so does all user code of unknown speed.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::Reactor;
use super::worker_slot::{Assignment, SlotMoment, WorkerSlot};
use crate::sync::atomic::{AtomicBool, AtomicUsize};
use crate::sync::thread::{self, Thread};
use crate::sync::{Mutex, MutexGuard, OnceLock, contain, judged_by, now};

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

/// How often the watchdog checks the threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub(super) enum Pace {
    Asleep,
    /// No loop waits for a method, and only dedicated threads run methods.
    Slow,
    /// Loops wait for methods.
    Fast,
}

impl Pace {
    fn of(number: usize) -> Self {
        match number {
            0 => Self::Asleep,
            1 => Self::Slow,
            _ => Self::Fast,
        }
    }

    /// Returns the time between two checks. A faster pace or the end of the server wakes the
    /// watchdog early.
    fn interval(self) -> Duration {
        match self {
            Self::Asleep => DOZE,
            Self::Slow => DEDICATED_LONG,
            Self::Fast => LONG,
        }
    }
}

#[derive(Debug, Default)]
struct WorkerSlots {
    all: Vec<Weak<WorkerSlot>>,
    last: u64,
}

impl Watchdog {
    /// Creates a watchdog that never runs, for a reactor without threads: no other thread could run
    /// its loop.
    pub(super) fn none() -> Self {
        // The pace is as fast as it can be asked to be, so nothing wakes the watchdog.
        Self { pace: AtomicUsize::new(Pace::Fast as usize), ..Self::default() }
    }

    /// Creates a slot for this thread.
    pub(super) fn new_slot(&self) -> Arc<WorkerSlot> {
        let mut slots = self.slots();
        slots.last += 1;
        let slot = Arc::new(WorkerSlot::new(slots.last));
        slots.all.retain(|slot| slot.strong_count() > 0);
        slots.all.push(Arc::downgrade(&slot));
        slot
    }

    /// Returns whether user code of unknown speed runs beside the loops now.
    #[inline]
    pub(super) fn is_cautious(&self) -> bool {
        self.cautious.load(Ordering::Relaxed)
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
    pub(super) fn wake(&self, reactor: &Arc<Reactor>, pace: Pace) {
        if self.pace.load(Ordering::SeqCst) < pace as usize {
            self.set_pace(reactor, pace);
        }
    }

    #[cold]
    fn set_pace(&self, reactor: &Arc<Reactor>, pace: Pace) {
        let last = self.pace.fetch_max(pace as usize, Ordering::SeqCst);
        if let Some(thread) = self.thread.get() {
            if last < pace as usize {
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
    let mut round = Round::new(now());
    let mut pace = Pace::Fast;
    loop {
        thread::park_timeout(pace.interval());
        let Some(reactor) = reactor.upgrade().filter(|reactor| !reactor.is_stopped()) else {
            return;
        };
        let now = now();
        if reactor.is_told_to_end() && reactor.is_overdue(round.told_to_end(now), now) {
            return reactor.stop();
        }
        round.check(&reactor, now);
        // A loop or work item that could not get a thread before may get one now.
        let _ = reactor.workers.find_thread(&reactor);
        pace = round.next_pace(&reactor, now);
    }
}

/// The memory of the watchdog between two checks.
struct Round {
    /// The moments of all threads at the last check.
    seen: Vec<SlotMoment>,
    /// The last start or end of any user code.
    active: Instant,
    /// The last start or end of user code on a thread with a loop.
    active_in_loop: Instant,
    /// When a loop or client was last taken away.
    given_away: Option<Instant>,
    told_to_end: Option<Instant>,
    /// The moments and the slots of the present check. The lists are kept for their memory.
    seen_now: Vec<SlotMoment>,
    slots: Vec<Arc<WorkerSlot>>,
}

impl Round {
    fn new(start: Instant) -> Self {
        Self {
            seen: Vec::new(),
            active: start,
            active_in_loop: start,
            given_away: None,
            told_to_end: None,
            seen_now: Vec::new(),
            slots: Vec::new(),
        }
    }

    /// Returns when the watchdog learned that the server is to end.
    fn told_to_end(&mut self, now: Instant) -> Instant {
        *self.told_to_end.get_or_insert(now)
    }

    /// Takes loops and clients away from threads that ran the same user code at the last check.
    fn check(&mut self, reactor: &Arc<Reactor>, now: Instant) {
        self.slots.clear();
        self.slots.extend(reactor.watchdog.slots().all.iter().filter_map(Weak::upgrade));
        self.seen_now.clear();
        for slot in &self.slots {
            let moment = slot.moment();
            let is_new = !self.seen.contains(&moment);
            if moment.runs() && !is_new {
                take_over(slot, moment, reactor);
                self.given_away = Some(now);
            }
            if is_new {
                self.active = now;
            }
            if (is_new || moment.runs()) && slot.has_loop() {
                self.active_in_loop = now;
            }
            self.seen_now.push(moment);
        }
        std::mem::swap(&mut self.seen, &mut self.seen_now);
        if self.given_away.is_some_and(|given_away| now - given_away > CALM) {
            self.given_away = None;
            reactor.watchdog.cautious.store(false, Ordering::Relaxed);
        }
    }

    /// Returns the pace until the next check.
    fn next_pace(&self, reactor: &Reactor, now: Instant) -> Pace {
        let wanted = match () {
            () if now - self.active_in_loop <= QUIET || reactor.workers.has_free_loop() => {
                Pace::Fast
            }
            () if now - self.active <= QUIET || self.given_away.is_some() => Pace::Slow,
            () => Pace::Asleep,
        };
        let shared = &reactor.watchdog.pace;
        let last = Pace::of(shared.swap(wanted as usize, Ordering::SeqCst));
        if last <= wanted {
            return wanted;
        }
        // User code may have started before its thread could see the slower pace, so that the
        // thread did not wake the watchdog.
        let matters = |slot: &Arc<WorkerSlot>| {
            (wanted == Pace::Asleep || slot.has_loop()) && !self.seen.contains(&slot.moment())
        };
        if self.slots.iter().any(matters) {
            shared.fetch_max(last as usize, Ordering::SeqCst);
            return last;
        }
        wanted
    }
}

/// Gives the loop or client of a thread that runs long user code to other threads.
fn take_over(slot: &WorkerSlot, moment: SlotMoment, reactor: &Arc<Reactor>) {
    let Some((taken_over, method_id)) = slot.take_over(moment) else { return };
    if !matches!(taken_over, Assignment::Nothing) {
        reactor.methods.mark_slow(method_id);
        reactor.watchdog.cautious.store(true, Ordering::Relaxed);
    }
    taken_over.give_to_others(reactor);
}

/// Time after which a method that blocks a loop counts as long. The watchdog acts within twice this
/// time.
const LONG: Duration = judged_by(Duration::from_millis(1));

/// Time after which a method on a dedicated thread counts as long. Such a method delays only its
/// own client. More frequent checks would slow down every call, because a timer interrupt takes
/// tens of microseconds on a virtual machine.
const DEDICATED_LONG: Duration = judged_by(Duration::from_millis(10));

/// Time without activity after which the watchdog slows down or sleeps.
const QUIET: Duration = Duration::from_millis(50);

/// Time for which user code of unknown speed runs beside the loops after a loop or client was taken
/// away.
const CALM: Duration = Duration::from_millis(100);

/// How often a sleeping watchdog checks whether its reactor is gone. The start of a method wakes
/// it.
const DOZE: Duration = Duration::from_secs(1);
