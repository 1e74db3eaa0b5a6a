//! The handle of a background task.

use super::Outcome;
use super::system::task::TaskRef;

/// The user's code that a background task runs.
pub(crate) type TaskWork = Box<dyn FnOnce(Outcome) + Send>;

/// A background task that [`Context::on_signal`](crate::Context::on_signal) or
/// [`Context::on_timer`](crate::Context::on_timer) started.
///
/// Dropping this handle does not cancel the task. The handle keeps neither the server nor the
/// values of the task alive. It may be cloned, and used on any thread.
#[derive(Clone, Debug)]
pub struct BackgroundTask(TaskRef);

impl BackgroundTask {
    pub(super) fn new(task: TaskRef) -> Self {
        Self(task)
    }

    /// Cancels the task unless its callback has started or is about to start.
    ///
    /// Returns `true` if this call cancelled the task. Then the callback never runs. It is dropped
    /// on this thread before `cancel` returns, with everything that it captured. The task also
    /// releases the object that it waited for and its part of the client's quota. A signal of the
    /// object stays for other waiters. The descriptor is closed at once, or by the thread that
    /// polls it as soon as that thread wakes. To wait for the same kernel object again, keep a
    /// duplicate of its handle.
    ///
    /// Returns `false` if the task has ended, was cancelled before, or its callback runs or is
    /// about to run. `cancel` does not wait for a running callback, so a callback may cancel its
    /// own task. In a forked copy of the server's process, `cancel` does nothing and returns
    /// `false`.
    pub fn cancel(&self) -> bool {
        self.0.cancel()
    }
}
