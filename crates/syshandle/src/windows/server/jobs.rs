//! Background tasks that wait for an object on the system's thread pool.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use syshandle_os::{Waitable, Watch, Watched};

use super::activity::Hold;
use super::session::Session;
use crate::guard::{ForeignValue, guard};
use crate::{Error, ErrorKind, Result};

/// Reason why a wait for an object ended: see [`Context::on_signal`](crate::Context::on_signal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The object was signalled, and an auto-reset event was reset.
    Fired,
    /// The timeout has passed.
    Expired,
    /// The client died first.
    ClientDied,
    /// The server is about to end.
    Stopping,
}

/// Reason why a timer ended: see [`Context::on_timer`](crate::Context::on_timer).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimerOutcome {
    /// The delay has passed.
    Elapsed,
    /// The client died first.
    ClientDied,
    /// The server is about to end.
    Stopping,
}

impl TimerOutcome {
    /// Converts the outcome of a wait for an object that is never signalled.
    pub(super) fn of_wait(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Fired | Outcome::Expired => Self::Elapsed,
            Outcome::ClientDied => Self::ClientDied,
            Outcome::Stopping => Self::Stopping,
        }
    }
}

/// Background task that waits for an object.
pub(crate) struct Job {
    number: u64,
    session: Weak<Session>,
    /// Work to run. Taken by the thread that ends the wait.
    waiting: Mutex<Option<Waiting>>,
    /// Wait of the system's thread pool.
    watch: Mutex<Option<Watch>>,
}

struct Waiting {
    work: ForeignValue<Box<dyn FnOnce(Outcome) + Send>>,
    _hold: Hold,
}

impl Job {
    /// Waits for `object` for up to `timeout`, and then runs `work`.
    pub(crate) fn start(
        session: &Arc<Session>,
        object: Box<dyn Waitable + Send + Sync>,
        timeout: Duration,
        work: Box<dyn FnOnce(Outcome) + Send>,
    ) -> Result<JobRef> {
        let waiting = Waiting { work: ForeignValue::new(work), _hold: session.activity().hold() };
        let made = |number| {
            let waiting = Mutex::new(Some(waiting));
            let session = Arc::downgrade(session);
            Arc::new(Self { number, session, waiting, watch: Mutex::new(None) })
        };
        let Some(job) = session.add_job(made) else {
            return Err(Error::new(ErrorKind::Busy, "too many jobs wait for this client"));
        };
        let ended = job.clone();
        let watched = Watch::start(object, Some(timeout), move |watched| {
            ended.end(match watched {
                Watched::Signalled => Outcome::Fired,
                Watched::TimedOut => Outcome::Expired,
            });
        });
        match watched {
            Ok(watch) => *job.watch() = Some(watch),
            Err(error) => {
                session.remove_job(job.number);
                let text = "the object can't be waited for";
                return Err(Error::new(ErrorKind::System, text).because(error));
            }
        }
        if job.waiting().is_none() {
            // The wait ended before `watch` was set, so `end_wait` did not find it.
            drop(job.watch().take());
        }
        if session.is_dead() {
            // The client may have died before the job was added.
            job.end(Outcome::ClientDied);
        }
        Ok(JobRef(Arc::downgrade(&job)))
    }

    /// Ends the wait and runs the work, unless the wait has ended already.
    pub(crate) fn end(&self, outcome: Outcome) {
        let Some(Waiting { work, _hold }) = self.end_wait() else { return };
        let Some(work) = work.into_inner() else { return };
        if let Err(text) = guard(|| work(outcome)) {
            crate::log::error!(?outcome, %text, "a job panicked");
        }
    }

    /// Ends the wait and closes the object, unless the wait has ended already. A thread of the pool
    /// may call this too.
    fn end_wait(&self) -> Option<Waiting> {
        let waiting = self.waiting().take()?;
        if let Some(session) = self.session.upgrade() {
            session.remove_job(self.number);
        }
        let watch = self.watch().take();
        drop(watch);
        Some(waiting)
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) -> MutexGuard<'_, Option<Watch>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refers to a job without keeping it alive.
#[derive(Clone, Debug)]
pub(crate) struct JobRef(Weak<Job>);

impl JobRef {
    /// Cancels the job. Returns whether its work will not run.
    pub(super) fn cancel(&self) -> bool {
        self.0.upgrade().is_some_and(|job| job.end_wait().is_some())
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("number", &self.number).finish_non_exhaustive()
    }
}
