//! Background tasks that wait for an object on the system's thread pool.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use syshandle_os::{Waitable, Watch, WatchOutcome};

use super::activity::{ActivityKind, KeepAlive};
use super::session::Session;
use crate::guard::{ForeignValue, guard};
use crate::server::Outcome;
use crate::server::background_task::TaskWork;
use crate::{Error, ErrorKind, Result};

/// Background task that waits for an object.
pub(crate) struct Task {
    number: u64,
    session: Weak<Session>,
    /// Work to run. Taken by the thread that ends the wait.
    waiting: Mutex<Option<TaskWait>>,
    /// Wait of the system's thread pool.
    watch: Mutex<Option<Watch>>,
}

struct TaskWait {
    work: ForeignValue<TaskWork>,
    _keep_alive: KeepAlive,
}

impl Task {
    /// Waits for `object` for up to `timeout`, and then runs `work`.
    pub(crate) fn start(
        session: &Arc<Session>,
        object: Box<dyn Waitable + Send + Sync>,
        timeout: Duration,
        work: TaskWork,
    ) -> Result<TaskRef> {
        let waiting = TaskWait {
            work: ForeignValue::new(work),
            _keep_alive: session.activity().keep_alive(ActivityKind::Task),
        };
        let made = |number| {
            let waiting = Mutex::new(Some(waiting));
            let session = Arc::downgrade(session);
            Arc::new(Self { number, session, waiting, watch: Mutex::new(None) })
        };
        let Some(task) = session.add_task(made) else {
            return Err(too_many_tasks());
        };
        let ended = task.clone();
        let watched = Watch::start(object, Some(timeout), move |watched| {
            ended.end(match watched {
                WatchOutcome::Signalled => Outcome::Fired,
                WatchOutcome::TimedOut => Outcome::Expired,
            });
        });
        match watched {
            Ok(watch) => *task.watch() = Some(watch),
            Err(error) => {
                session.remove_task(task.number);
                let text = "the object can't be waited for";
                return Err(Error::detected(ErrorKind::System, text).because(error));
            }
        }
        if task.waiting().is_none() {
            // The wait ended before `watch` was set, so `end_wait` did not find it.
            drop(task.watch().take());
        }
        if session.is_dead() {
            // The client may have died before the task was added.
            task.end(Outcome::ClientDied);
        }
        Ok(TaskRef(Arc::downgrade(&task)))
    }

    /// Ends the wait and runs the work, unless the wait has ended already.
    pub(crate) fn end(&self, outcome: Outcome) {
        let Some(TaskWait { work, _keep_alive }) = self.end_wait() else { return };
        let Some(work) = work.into_inner() else { return };
        if let Err(text) = guard(|| work(outcome)) {
            crate::log::error!(?outcome, panic = %text, "a background task panicked");
        }
    }

    /// Ends the wait and closes the object, unless the wait has ended already. A thread of the pool
    /// may call this too.
    fn end_wait(&self) -> Option<TaskWait> {
        let waiting = self.waiting().take()?;
        if let Some(session) = self.session.upgrade() {
            session.remove_task(self.number);
        }
        let watch = self.watch().take();
        drop(watch);
        Some(waiting)
    }

    fn waiting(&self) -> MutexGuard<'_, Option<TaskWait>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) -> MutexGuard<'_, Option<Watch>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refers to a task without keeping it alive.
#[derive(Clone, Debug)]
pub(crate) struct TaskRef(Weak<Task>);

impl TaskRef {
    /// Cancels the task. Returns whether its work will not run.
    pub(crate) fn cancel(&self) -> bool {
        self.0.upgrade().is_some_and(|task| task.end_wait().is_some())
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("number", &self.number).finish_non_exhaustive()
    }
}

/// Returns the error for a client that has too many background tasks.
fn too_many_tasks() -> Error {
    Error::detected(
        ErrorKind::Busy,
        "the server is busy: it has reached its limit of background tasks of one client",
    )
}
