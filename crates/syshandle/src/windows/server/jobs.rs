//! Work that waits for an object, without a thread of the server's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use syshandle_os::{Waitable, Watch, Watched};

use super::activity::Hold;
use super::session::Session;
use crate::guard::{Guarded, guard};
use crate::{Error, ErrorKind, Result};

/// Why a wait for an object ended: see [`Context::when`](crate::Context::when).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The object was signalled, and the wait has taken it.
    Fired,
    /// The timeout has passed.
    Expired,
    /// The client died before.
    ClientDied,
    /// The server is about to end.
    Stopping,
}

/// Why a timer ended: see [`Context::after`](crate::Context::after).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimerOutcome {
    /// The delay has passed.
    Elapsed,
    /// The client died before.
    ClientDied,
    /// The server is about to end.
    Stopping,
}

impl TimerOutcome {
    /// The outcome of a wait for an object that nobody signals.
    pub(super) fn of_wait(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Fired | Outcome::Expired => Self::Elapsed,
            Outcome::ClientDied => Self::ClientDied,
            Outcome::Stopping => Self::Stopping,
        }
    }
}

/// Work that waits for an object.
pub(crate) struct Job {
    number: u64,
    session: Weak<Session>,
    /// Taken by the one who ends the wait.
    waiting: Mutex<Option<Waiting>>,
    /// The wait of the system's pool.
    watch: Mutex<Option<Watch>>,
}

struct Waiting {
    work: Guarded<Box<dyn FnOnce(Outcome) + Send>>,
    _hold: Hold,
}

impl Job {
    /// Waits for `object`, not longer than `timeout`, and then does `work`.
    pub(crate) fn start(
        session: &Arc<Session>,
        object: Box<dyn Waitable + Send + Sync>,
        timeout: Duration,
        work: Box<dyn FnOnce(Outcome) + Send>,
    ) -> Result<JobRef> {
        let waiting = Waiting { work: Guarded::new(work), _hold: session.activity().hold() };
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
            // It has ended meanwhile, and found no wait to end.
            drop(job.watch().take());
        }
        if session.is_dead() {
            // Perhaps before the job was there to be ended.
            job.end(Outcome::ClientDied);
        }
        Ok(JobRef(Arc::downgrade(&job)))
    }

    /// Ends the wait, unless it has ended: does the work.
    pub(crate) fn end(&self, outcome: Outcome) {
        let Some(Waiting { work, _hold }) = self.end_wait() else { return };
        let Some(work) = work.into_inner() else { return };
        if let Err(text) = guard(|| work(outcome)) {
            crate::log::error!(?outcome, %text, "a job panicked");
        }
    }

    /// Ends the wait, unless it has ended, and closes the object. Within the pool's own thread that is
    /// fine.
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

/// Refers to a job without keeping anything of it.
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
