//! Activity that keeps a server alive.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use syshandle_wire::Fault;

use super::session::Session;
use crate::server::stats::{CallStats, RefusalCounters, ServerStats};

/// Counts everything that keeps a server alive: objects that clients hold, running calls and
/// background tasks. Also counts the calls and refusals since the start.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<ActivityState>,
    changed: Condvar,
    refusals: RefusalCounters,
    /// Whether the objects belong to no server of COM, but to this process.
    is_in_process: bool,
}

#[derive(Debug)]
struct ActivityState {
    objects: usize,
    calls: usize,
    tasks: usize,
    /// Number of calls whose methods have ended.
    calls_done: u64,
    /// Sessions of all clients. May contain sessions that have ended.
    sessions: Vec<Weak<Session>>,
    /// Whether the server was told to end.
    is_stopping: bool,
    /// Whether there was ever any activity.
    was_active: bool,
    /// Time at which the last activity ended, or at which the server started.
    quiet_since: Instant,
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
    /// Creates the activity of a server.
    pub(crate) fn new() -> Arc<Self> {
        Self::of(false)
    }

    /// Creates the activity of an object that this process serves for itself.
    pub(crate) fn in_process() -> Arc<Self> {
        Self::of(true)
    }

    fn of(is_in_process: bool) -> Arc<Self> {
        let state = ActivityState {
            objects: 0,
            calls: 0,
            tasks: 0,
            calls_done: 0,
            sessions: Vec::new(),
            is_stopping: false,
            was_active: false,
            quiet_since: Instant::now(),
        };
        let refusals = RefusalCounters::default();
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            refusals,
            is_in_process,
        })
    }

    pub(crate) fn keep_alive(self: &Arc<Self>, kind: ActivityKind) -> KeepAlive {
        let mut state = self.state();
        *state.count(kind) += 1;
        let is_first = !std::mem::replace(&mut state.was_active, true);
        drop(state);
        if is_first {
            self.changed.notify_all();
        }
        KeepAlive(self.clone(), kind)
    }

    /// Returns whether there is no activity.
    pub(crate) fn is_idle(&self) -> bool {
        self.state().is_idle()
    }

    /// Returns whether the objects belong to no server of COM, but to this process.
    pub(super) fn is_in_process(&self) -> bool {
        self.is_in_process
    }

    /// Tells the server to end. Returns whether it was not told before.
    pub(super) fn shut_down(&self) -> bool {
        let was_stopping = std::mem::replace(&mut self.state().is_stopping, true);
        self.changed.notify_all();
        !was_stopping
    }

    /// Adds the session of a client.
    pub(super) fn add_session(&self, session: &Arc<Session>) {
        let sessions = &mut self.state().sessions;
        if sessions.len() == sessions.capacity() {
            sessions.retain(|session| session.strong_count() > 0);
        }
        sessions.push(Arc::downgrade(session));
    }

    /// Returns the sessions of all clients.
    pub(super) fn sessions(&self) -> Vec<Arc<Session>> {
        self.state().sessions.iter().filter_map(Weak::upgrade).collect()
    }

    /// Returns whether the server was told to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.state().is_stopping
    }

    /// Waits until nothing of these kinds is active, for at most `time`.
    pub(super) fn wait_for_end_of(&self, kinds: &[ActivityKind], time: Duration) {
        let is_active =
            |state: &mut ActivityState| kinds.iter().any(|kind| *state.count(*kind) > 0);
        let waited = self.changed.wait_timeout_while(self.state(), time, is_active);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns the time since the last end of an activity; `None` if no method has run.
    pub(super) fn quiet_time(&self) -> Option<Duration> {
        let state = self.state();
        (state.calls_done > 0).then(|| state.quiet_since.elapsed())
    }

    /// Counts a call that is refused with this fault.
    pub(crate) fn count_refusal(&self, fault: &Fault) {
        self.refusals.count(fault);
    }

    pub(crate) fn stats(&self) -> ServerStats {
        let state = self.state();
        ServerStats {
            calls: CallStats {
                done: state.calls_done,
                running: state.calls,
                ..CallStats::default()
            },
            refusals: self.refusals.stats(),
            clients: state.objects,
            background_tasks: state.tasks,
            ..ServerStats::default()
        }
    }

    /// Waits until there was no activity for `time`; without a time, forever. Returns earlier if
    /// the server was told to end. With `until_active`, also returns at the first activity.
    pub(crate) fn wait_until_idle(&self, time: Option<Duration>, until_active: bool) {
        let mut state = self.state();
        loop {
            if state.is_stopping || (until_active && state.was_active) {
                return;
            }
            let left = match (state.is_idle(), time) {
                (true, Some(time)) => time.saturating_sub(state.quiet_since.elapsed()),
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
        state.calls_done += u64::from(matches!(self.1, ActivityKind::Call));
        state.quiet_since = Instant::now();
        drop(state);
        self.0.changed.notify_all();
    }
}
