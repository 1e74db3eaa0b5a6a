//! The slot of a worker thread: its loop or client, and whether it runs user code.

use std::sync::atomic::{AtomicBool as StdAtomicBool, AtomicU64 as StdAtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use super::Reactor;
use super::event_loop::{LoopClient, LoopContext};
use super::method_limit::MethodPermit;
use super::method_times::MethodId;
use super::watchdog::Pace;
use crate::quota::{Quota, QuotaGuard, Resource};
use crate::sync::atomic::AtomicU64;
use crate::sync::{Mutex, MutexGuard, WaitFor};

/// The slot of one worker thread.
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
pub(crate) enum Assignment {
    Nothing,
    /// The thread runs this loop.
    Loop(usize),
    /// The thread is dedicated to this client.
    Client(Arc<dyn LoopClient>),
}

/// A moment of a worker thread. Two equal moments mean that the thread ran the same user code all
/// the time between, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotMoment {
    number: u64,
    turn: u64,
}

impl SlotMoment {
    /// Returns whether user code runs that the watchdog has not dealt with.
    pub(super) fn runs(self) -> bool {
        self.turn % 2 == 1 && self.turn & GIVEN_AWAY == 0
    }
}

impl WorkerSlot {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            turn: AtomicU64::new(0),
            has_loop: StdAtomicBool::new(false),
            method_id: StdAtomicU64::new(0),
            assignment: Mutex::new(Assignment::Nothing),
        }
    }

    /// Sets the assignment of the thread, replacing the previous one.
    pub(crate) fn assign(&self, assignment: Assignment) {
        self.has_loop.store(matches!(assignment, Assignment::Loop(_)), Ordering::Relaxed);
        let before = std::mem::replace(&mut *self.assignment(), assignment);
        drop(before);
    }

    /// Returns whether the last assignment of the thread was an event loop.
    pub(super) fn has_loop(&self) -> bool {
        self.has_loop.load(Ordering::Relaxed)
    }

    /// Returns the present moment of the thread.
    pub(super) fn moment(&self) -> SlotMoment {
        SlotMoment { number: self.number, turn: self.turn.load(Ordering::SeqCst) }
    }

    /// Sets the method that the thread runs next.
    #[inline]
    pub(crate) fn set_method(&self, method_id: MethodId) {
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

    /// Takes the thread's loop or client, if the thread still runs the same user code as at
    /// `moment`. Returns it with the method that the thread runs.
    pub(super) fn take_over(&self, moment: SlotMoment) -> Option<(Assignment, MethodId)> {
        // The thread may end the method at any time and then take another assignment. The lock
        // prevents the latter.
        let mut assignment = self.assignment();
        let (given_away, order) = (moment.turn | GIVEN_AWAY, Ordering::SeqCst);
        self.turn.compare_exchange(moment.turn, given_away, order, order).ok()?;
        let taken_over = std::mem::replace(&mut *assignment, Assignment::Nothing);
        Some((taken_over, MethodId(self.method_id.load(Ordering::Relaxed))))
    }

    /// Gives the thread's loop away, because the thread waits within user code and the loop has
    /// other work. Without other work, the watchdog gives the loop away if the wait is long. Before a
    /// wait for a stream, always gives the loop or client away, because the frames of the stream are
    /// received there.
    pub(super) fn before_wait(&self, reactor: &Arc<Reactor>, wait: WaitFor) {
        let moment = self.moment();
        if !moment.runs() {
            return;
        }
        let index = match (&*self.assignment(), wait) {
            (Assignment::Loop(index), WaitFor::Other) => Some(*index),
            (Assignment::Loop(_) | Assignment::Client(_), WaitFor::Stream) => None,
            (Assignment::Nothing, _) | (Assignment::Client(_), WaitFor::Other) => return,
        };
        let Some(index) = index else {
            if let Some((taken_over, _)) = self.take_over(moment) {
                taken_over.give_to_others(reactor);
            }
            return;
        };
        // An error shows up again for the thread that runs the loop next.
        if reactor.event_loop(index).look_again().unwrap_or(true) {
            if let Some((taken_over, _)) = self.take_over(moment) {
                taken_over.give_to_others(reactor);
            }
        }
    }

    fn assignment(&self) -> MutexGuard<'_, Assignment> {
        self.assignment.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Assignment {
    pub(super) fn give_to_others(self, reactor: &Arc<Reactor>) {
        match self {
            Self::Nothing => {}
            // If no thread can start now, the watchdog retries.
            Self::Loop(index) => drop(reactor.workers.hand_over(reactor, index)),
            Self::Client(client) => client.return_to_loop(reactor),
        }
    }
}

impl std::fmt::Debug for Assignment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Loop(index) => f.debug_tuple("Loop").field(index).finish(),
            Self::Client(_) => f.write_str("Client"),
        }
    }
}

/// User code that runs, from its start to its end.
#[must_use]
pub(crate) struct RunGuard<'a> {
    context: LoopContext<'a>,
    turn: u64,
    /// The permit of code that counts in the limit of running methods.
    permit: Option<MethodPermit<'a>>,
    /// Counts user code other than calls among the client's running methods.
    quota_guard: Option<QuotaGuard>,
}

impl<'a> LoopContext<'a> {
    /// Marks the start of user code that does not count in the limit of running methods.
    pub(crate) fn start_running(self) -> RunGuard<'a> {
        let turn = self.slot.turn.fetch_add(1, Ordering::SeqCst) + 1;
        let pace = if self.slot.has_loop() { Pace::Fast } else { Pace::Slow };
        self.reactor.watchdog.wake(self.reactor, pace);
        RunGuard { context: self, turn, permit: None, quota_guard: None }
    }

    /// Marks the start of a method. Returns `None` if the limit of running methods is reached.
    #[inline]
    pub(crate) fn try_start(self) -> Option<RunGuard<'a>> {
        let permit = self.reactor.method_limit.try_acquire()?;
        Some(RunGuard { permit: Some(permit), ..self.start_running() })
    }

    /// Returns whether code of unknown speed runs beside the loops now.
    #[inline]
    pub(crate) fn is_cautious(self) -> bool {
        self.reactor.watchdog.is_cautious()
    }

    /// Marks the start of user code of unknown speed, and counts it among the running methods of
    /// the client that causes it. Returns `None` if the code has to run beside the loop.
    pub(crate) fn try_start_unknown(self, client: &Arc<Quota>) -> Option<RunGuard<'a>> {
        if self.is_cautious() {
            return None;
        }
        let quota_guard = client.take(Resource::Call, 0).ok()?;
        let running = self.try_start()?;
        Some(RunGuard { quota_guard: Some(quota_guard), ..running })
    }
}

impl RunGuard<'_> {
    /// Marks the end of user code. Returns whether the thread still has its loop or client.
    #[inline]
    pub(crate) fn end(self) -> bool {
        let Self { context: LoopContext { reactor, slot }, turn, permit, quota_guard } = self;
        drop((permit, quota_guard));
        let still_has = slot.turn.swap(turn + 1, Ordering::SeqCst) == turn;
        if reactor.workers.has_work() {
            // A work item may wait for this end.
            let _ = reactor.workers.find_thread(reactor);
        }
        still_has
    }

    /// Marks the end of a work item on a worker thread, which finds its next work item itself.
    pub(super) fn end_work(self) {
        drop((self.permit, self.quota_guard));
        self.context.slot.turn.store(self.turn + 1, Ordering::SeqCst);
    }
}

/// The bit in [`WorkerSlot::turn`] that marks a thread without loop or client.
const GIVEN_AWAY: u64 = 1 << 63;
