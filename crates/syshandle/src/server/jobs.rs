//! Work that waits for an object, or for its time, without a thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use syshandle_os::{Interest, Readiness, Waitable};

use super::activity::{Hold, What};
use super::connection::Connection;
use super::event_loop::Source;
use super::reactor::Reactor;
use super::session::Session;
use super::shares::{Part, Taken};
use super::timers::{Timer, TimerId};
use crate::sync::atomic::AtomicU64;
use crate::sync::{Mutex, now};
use crate::{Error, ErrorKind, Result};

/// Why the wait of a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The object was signalled, and taken; or the time has come that was waited for.
    Fired,
    /// The time was over.
    Expired,
    /// The client died before.
    ClientDied,
    /// The server is about to end.
    Stopping,
}

/// Work that waits.
pub(crate) struct Job {
    key: AtomicU64,
    session: Arc<Session>,
    /// Taken by the one who ends the wait.
    waiting: Mutex<Option<Waiting>>,
}

struct Waiting {
    /// None for work that waits for its time alone.
    object: Option<Box<dyn Waitable + Send>>,
    work: Box<dyn FnOnce(Outcome) + Send>,
    timer: Option<TimerId>,
    _hold: Hold,
    _taken: Taken,
}

impl Job {
    /// Waits for `object`, not longer than `timeout`, and then does `work`; without an object until
    /// `timeout` has passed.
    pub(crate) fn start(
        reactor: &Arc<Reactor>,
        connection: &Connection,
        object: Option<Box<dyn Waitable + Send>>,
        timeout: Duration,
        work: Box<dyn FnOnce(Outcome) + Send>,
    ) -> Result<()> {
        let session = connection.session();
        let taken = match object {
            Some(_) => session.share.take(Part::Job, 1),
            None => session.share.take(Part::Timer, 0),
        };
        let _taken = taken.map_err(|limit| {
            Error::new(ErrorKind::Busy, format!("the server is at its limit of {limit}"))
        })?;
        let _hold = reactor.hold(What::Work);
        let waiting = Waiting { object, work, timer: None, _hold, _taken };
        let job = Arc::new(Self {
            key: AtomicU64::new(0),
            session: session.clone(),
            waiting: Mutex::new(Some(waiting)),
        });
        let source = |key| {
            job.key.store(key, Ordering::Release);
            Source::Job(job.clone())
        };
        // Under the lock: it may fire before all is in place.
        let mut waiting = job.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(inside) = waiting.as_mut() else { return Ok(()) };
        // In the client's loop, so that calls and jobs of one client wake one thread.
        let key =
            reactor.loop_of(connection.key()).add(source, |poller, key| match &inside.object {
                Some(object) => poller.add(object.handle(), key, interest(&**object)),
                None => Ok(()),
            });
        let key = key.map_err(|error| {
            Error::new(ErrorKind::System, "the object can't be waited for").because(error)
        })?;
        inside.timer = now()
            .checked_add(timeout)
            .map(|deadline| reactor.timers.set(deadline, Timer::Job(key)));
        // What has changed before is not told any more.
        let changed = |object: &(dyn Waitable + Send)| object.readiness() == Readiness::Changed;
        let look_first = inside.object.as_deref().is_some_and(changed);
        drop(waiting);
        if !session.add_job(reactor, connection.socket(), &job) {
            job.forget(reactor);
            return Err(Error::new(ErrorKind::Busy, "too many jobs wait for this client"));
        }
        if look_first {
            job.try_run(reactor);
        }
        Ok(())
    }

    /// Whether the wait is over.
    pub(crate) fn has_ended(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    pub(crate) fn key(&self) -> u64 {
        self.key.load(Ordering::Acquire)
    }

    /// The object was signalled: does the work, unless another waiter took the object.
    pub(crate) fn try_run(&self, reactor: &Arc<Reactor>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(object) = waiting.as_ref().and_then(|inside| inside.object.as_ref()) else {
            return;
        };
        match object.take() {
            Ok(true) => {
                let inside = waiting.take();
                drop(waiting);
                self.finish(reactor, inside, Outcome::Fired);
            }
            Ok(false) => {
                reactor.watch_again(object.handle(), self.key(), interest(&**object));
            }
            Err(error) => {
                tracing::warn!(%error, "an object that a job waits for can't be taken");
                let inside = waiting.take();
                drop(waiting);
                self.finish(reactor, inside, Outcome::Expired);
            }
        }
    }

    /// Ends the wait for another reason, unless the object was signalled all the same.
    pub(crate) fn end(&self, reactor: &Arc<Reactor>, outcome: Outcome) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(inside) = waiting.take() else { return };
        drop(waiting);
        let outcome = match &inside.object {
            // Its time is what it waited for.
            None if outcome == Outcome::Expired => Outcome::Fired,
            Some(object) if matches!(object.take(), Ok(true)) => Outcome::Fired,
            _ => outcome,
        };
        self.finish(reactor, Some(inside), outcome);
    }

    /// Ends the wait without doing the work.
    fn forget(&self, reactor: &Reactor) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.clean_up(reactor, waiting.as_ref());
    }

    fn finish(&self, reactor: &Arc<Reactor>, waiting: Option<Waiting>, outcome: Outcome) {
        self.clean_up(reactor, waiting.as_ref());
        let Some(Waiting { work, object, _hold, _taken, .. }) = waiting else { return };
        drop(object);
        if catch_unwind(AssertUnwindSafe(|| work(outcome))).is_err() {
            tracing::error!(?outcome, "a job panicked");
        }
    }

    fn clean_up(&self, reactor: &Reactor, waiting: Option<&Waiting>) {
        self.session.remove_job(reactor, self.key());
        if let Some(waiting) = waiting {
            match &waiting.object {
                Some(object) => drop(reactor.remove_source(self.key(), object.handle())),
                None => reactor.forget_source(self.key()),
            }
            if let Some(timer) = waiting.timer {
                reactor.timers.forget(timer);
            }
        }
    }
}

/// What the kernel says when the object may be taken.
fn interest(object: &dyn Waitable) -> Interest {
    match object.readiness() {
        Readiness::Readable => Interest::OnceReadable,
        Readiness::Changed => Interest::OnceChanged,
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("key", &self.key()).finish_non_exhaustive()
    }
}
