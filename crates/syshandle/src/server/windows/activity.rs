//! Activity that keeps a server alive.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use syshandle_wire::Fault;

use crate::server::stats::{CallStats, RefusalCounters, ServerStats};

/// Counts everything that keeps a server alive: objects that clients hold, running calls and
/// background tasks. Also counts the calls and refusals since the start.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<ActivityState>,
    changed: Condvar,
    refusals: RefusalCounters,
}

#[derive(Debug)]
struct ActivityState {
    objects: usize,
    calls: usize,
    tasks: usize,
    /// Number of calls whose methods have ended.
    done: u64,
    /// Whether the server was told to end.
    stopping: bool,
    /// Whether there was ever any activity.
    begun: bool,
    /// Time of the start, or of the last end of an activity.
    since: Instant,
}

/// Counts as activity until dropped.
#[derive(Debug)]
pub(crate) struct KeepAlive(Arc<Activity>, ActivityKind);

/// The kind of activity that a [`KeepAlive`] counts as.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ActivityKind {
    /// An object that a client holds.
    Object,
    /// A running call.
    Call,
    /// A background task.
    Task,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        let state = ActivityState {
            objects: 0,
            calls: 0,
            tasks: 0,
            done: 0,
            stopping: false,
            begun: false,
            since: Instant::now(),
        };
        let refusals = RefusalCounters::default();
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new(), refusals })
    }

    pub(crate) fn keep_alive(self: &Arc<Self>, kind: ActivityKind) -> KeepAlive {
        let mut state = self.state();
        *state.count(kind) += 1;
        let first = !std::mem::replace(&mut state.begun, true);
        drop(state);
        if first {
            self.changed.notify_all();
        }
        KeepAlive(self.clone(), kind)
    }

    /// Returns whether there is no activity.
    pub(crate) fn is_idle(&self) -> bool {
        self.state().is_idle()
    }

    /// Tells the server to end.
    pub(crate) fn shut_down(&self) {
        self.state().stopping = true;
        self.changed.notify_all();
    }

    /// Returns whether the server was told to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.state().stopping
    }

    /// Waits until no call and no background task runs, for at most `time`.
    pub(crate) fn wait_for_work(&self, time: Duration) {
        let works = |state: &mut ActivityState| state.calls + state.tasks > 0;
        let waited = self.changed.wait_timeout_while(self.state(), time, works);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts a call that is refused with this fault.
    pub(crate) fn count_refusal(&self, fault: &Fault) {
        self.refusals.count(fault);
    }

    pub(crate) fn stats(&self) -> ServerStats {
        let state = self.state();
        ServerStats {
            calls: CallStats { done: state.done, running: state.calls, ..CallStats::default() },
            refusals: self.refusals.stats(),
            clients: state.objects,
            background_tasks: state.tasks,
            ..ServerStats::default()
        }
    }

    /// Waits until there was no activity for `time`; without a time, forever. Returns earlier if
    /// the server was told to end, and, if `first` is set, once there was any activity.
    pub(crate) fn wait_until_idle(&self, time: Option<Duration>, first: bool) {
        let mut state = self.state();
        loop {
            if state.stopping || (first && state.begun) {
                return;
            }
            let left = match (state.is_idle(), time) {
                (true, Some(time)) => time.saturating_sub(state.since.elapsed()),
                _ => Duration::MAX,
            };
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn state(&self) -> MutexGuard<'_, ActivityState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ActivityState {
    fn count(&mut self, kind: ActivityKind) -> &mut usize {
        match kind {
            ActivityKind::Object => &mut self.objects,
            ActivityKind::Call => &mut self.calls,
            ActivityKind::Task => &mut self.tasks,
        }
    }

    fn is_idle(&self) -> bool {
        self.objects + self.calls + self.tasks == 0
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        let mut state = self.0.state();
        *state.count(self.1) -= 1;
        state.done += u64::from(matches!(self.1, ActivityKind::Call));
        state.since = Instant::now();
        drop(state);
        self.0.changed.notify_all();
    }
}
