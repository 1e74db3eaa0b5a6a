//! Activity that keeps a server alive.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counter of everything that keeps a server alive: objects that clients hold, running calls and
/// background work.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<ActivityState>,
    changed: Condvar,
}

#[derive(Debug)]
struct ActivityState {
    held: usize,
    /// Whether the counter was ever above 0.
    begun: bool,
    /// Time when the counter was last decremented.
    since: Instant,
}

/// Counts as activity until dropped.
#[derive(Debug)]
pub(crate) struct KeepAlive(Arc<Activity>);

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        let state = Mutex::new(ActivityState { held: 0, begun: false, since: Instant::now() });
        Arc::new(Self { state, changed: Condvar::new() })
    }

    pub(crate) fn keep_alive(self: &Arc<Self>) -> KeepAlive {
        let mut state = self.state();
        state.held += 1;
        let first = !std::mem::replace(&mut state.begun, true);
        drop(state);
        if first {
            self.changed.notify_all();
        }
        KeepAlive(self.clone())
    }

    /// Returns whether the counter is 0.
    pub(crate) fn is_idle(&self) -> bool {
        self.state().held == 0
    }

    /// Waits until the counter was 0 for `time`; without a time, forever. If `first` is set, also
    /// returns once the counter was ever above 0.
    pub(crate) fn wait_until_idle(&self, time: Option<Duration>, first: bool) {
        let mut state = self.state();
        loop {
            if first && state.begun {
                return;
            }
            let left = match (state.held, time) {
                (0, Some(time)) => time.saturating_sub(state.since.elapsed()),
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

impl Drop for KeepAlive {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.held -= 1;
        state.since = Instant::now();
        drop(state);
        self.0.changed.notify_all();
    }
}
