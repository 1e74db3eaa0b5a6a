//! Work that waits for an object, or for its time, without a thread.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use syshandle_os::{BorrowedHandle, Interest, Readiness, Waitable, try_take};

use super::activity::{Hold, What};
use super::connection::Connection;
use super::event_loop::Source;
use super::newest::Newest;
use super::reactor::Reactor;
use super::receiving::Acted;
use super::sentinel::Post;
use super::session::Session;
use super::shares::{Part, Share, Taken};
use super::task::Code;
use super::timers::{Timer, TimerId};
use crate::client::other_process;
use crate::guard::{Guarded, guard};
use crate::sync::atomic::AtomicU64;
use crate::sync::{Mutex, MutexGuard, now};
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
    /// The outcome of a wait without an object.
    pub(super) fn of_wait(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Fired | Outcome::Expired => Self::Elapsed,
            Outcome::ClientDied => Self::ClientDied,
            Outcome::Stopping => Self::Stopping,
        }
    }
}

/// An object of the user's type, whose code may panic.
pub(super) struct UserObject<W>(Guarded<W>);

impl<W> UserObject<W> {
    pub(super) fn new(object: W) -> Self {
        Self(Guarded::new(object))
    }
}

impl<W: Waitable> Waitable for UserObject<W> {
    fn handle(&self) -> BorrowedHandle<'_> {
        self.0.handle()
    }

    fn take(&self) -> io::Result<bool> {
        guard(|| Waitable::take(&*self.0)).unwrap_or_else(|text| Err(io::Error::other(text)))
    }

    fn readiness(&self) -> Readiness {
        self.0.readiness()
    }

    fn take_finds_out(&self) -> bool {
        self.0.take_finds_out()
    }
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
    object: Option<Object>,
    /// Where the object is waited for, where that isn't the poller of its loop.
    newest: Option<Arc<Newest>>,
    /// The object was taken: the work is to be done, whatever comes now.
    is_taken: bool,
    work: Guarded<Box<dyn FnOnce(Outcome) + Send>>,
    timer: Option<TimerId>,
    _hold: Hold,
    _taken: Taken,
}

/// What a job waits for: shared with the thread that sleeps until it is signalled.
pub(super) type Object = Arc<dyn Waitable + Send + Sync>;

impl Job {
    /// Waits for `object`, not longer than `timeout`, and then does `work`; without an object until
    /// `timeout` has passed.
    pub(crate) fn start(
        reactor: &Arc<Reactor>,
        connection: &Connection,
        object: Option<Object>,
        timeout: Duration,
        work: Box<dyn FnOnce(Outcome) + Send>,
    ) -> Result<JobRef> {
        if !reactor.is_own() {
            return Err(other_process("context"));
        }
        let session = connection.session();
        let taken = match object {
            Some(_) => session.share.take(Part::Job, 1),
            None => session.share.take(Part::Timer, 0),
        };
        let _taken = taken.map_err(|limit| {
            Error::new(ErrorKind::Busy, format!("the server is at its limit of {limit}"))
        })?;
        let _hold = reactor.hold(What::Work);
        // What has changed before is not told any more.
        let changed = |object: &Object| object.readiness() == Readiness::Changed;
        let look_first = object.as_ref().is_some_and(changed);
        let is_taken = false;
        let work = Guarded::new(work);
        let waiting = Waiting { object, newest: None, is_taken, work, timer: None, _hold, _taken };
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
        let job_ref = JobRef { job: Arc::downgrade(&job), reactor: Arc::downgrade(reactor) };
        let mut waiting = job.waiting();
        let Some(inside) = waiting.as_mut() else { return Ok(job_ref) };
        // In the client's loop, so that calls and jobs of one client wake one thread.
        let event_loop = reactor.loop_of(connection.key());
        let mut before = None;
        let key = event_loop.add(source, |poller, key| {
            let Some(object) = &inside.object else { return Ok(()) };
            // A thread that stays with this client is the first to see it; if there is none, that of
            // the loop.
            let places = [connection.newest(), &event_loop.newest];
            let mut places = places.into_iter().filter(|_| !look_first);
            let place = places.find(|place| place.put(&job).map(|last| before = last).is_ok());
            inside.newest = place.cloned();
            match inside.newest {
                Some(_) => Ok(()),
                None => poller.add(object.handle(), key, interest(object)),
            }
        });
        let key = key.map_err(|error| {
            Error::new(ErrorKind::System, "the object can't be waited for").because(error)
        })?;
        inside.timer = now()
            .checked_add(timeout)
            .map(|deadline| reactor.timers.set(deadline, Timer::Job(key)));
        drop(waiting);
        if let Some(before) = before {
            before.add_to_poller(reactor);
        }
        if !session.add_job(reactor, connection.socket(), &job) {
            job.forget(reactor);
            return Err(Error::new(ErrorKind::Busy, "too many jobs wait for this client"));
        }
        if look_first {
            job.try_run(reactor);
        }
        Ok(job_ref)
    }

    /// Whether the wait is over.
    pub(crate) fn has_ended(&self) -> bool {
        self.waiting().is_none()
    }

    /// Returns the quota of the client.
    pub(super) fn share(&self) -> &Arc<Share> {
        &self.session.share
    }

    pub(crate) fn key(&self) -> u64 {
        self.key.load(Ordering::Acquire)
    }

    /// What it waits for, if it still does.
    pub(super) fn object(&self) -> Option<Object> {
        self.waiting().as_ref().and_then(|inside| inside.object.clone())
    }

    /// Has the poller of its loop wait for it from now on. Where the system has no memory for that,
    /// it is looked at a little later as if it were signalled.
    pub(super) fn add_to_poller(&self, reactor: &Reactor) {
        let mut waiting = self.waiting();
        let Some(inside) = waiting.as_mut() else { return };
        let (Some(object), Some(_)) = (&inside.object, &inside.newest) else { return };
        let poller = reactor.loop_of(self.key()).poller();
        match poller.add(object.handle(), self.key(), interest(object)) {
            Ok(()) => inside.newest = None,
            Err(error) => reactor.look_later(self.key(), &error),
        }
    }

    /// Takes the object, if it was signalled: then the work is to be done.
    pub(super) fn take(&self) -> bool {
        let mut waiting = self.waiting();
        let Some(inside) = waiting.as_mut() else { return false };
        let taken = |object: &Object| matches!(try_take(&**object), Ok(true));
        inside.is_taken |= inside.object.as_ref().is_some_and(taken);
        inside.is_taken
    }

    /// The object was signalled: does the work, unless another waiter took the object.
    pub(crate) fn try_run(&self, reactor: &Arc<Reactor>) {
        let mut waiting = self.waiting();
        let Some(inside) = waiting.as_mut() else { return };
        let Some(object) = &inside.object else { return };
        let taken = if inside.is_taken { Ok(true) } else { object.take() };
        let outcome = match taken {
            Ok(true) => Outcome::Fired,
            Ok(false) => match &inside.newest {
                None => {
                    let (handle, interest) = (object.handle(), interest(object));
                    return reactor.watch_again(handle, self.key(), interest);
                }
                // It is there still, or the poller had no memory for it.
                Some(newest) if newest.is(self) => return,
                Some(_) => {
                    drop(waiting);
                    return self.add_to_poller(reactor);
                }
            },
            Err(error) => {
                crate::log::warn!(%error, "an object that a job waits for can't be taken");
                Outcome::Expired
            }
        };
        let inside = waiting.take();
        drop(waiting);
        self.finish(reactor, inside, outcome);
    }

    /// The object may be signalled: does the work, on this thread or on a worker.
    pub(super) fn act(self: &Arc<Self>, reactor: &Arc<Reactor>, post: &Post) -> Acted {
        let running = reactor.sentinel.try_start_unknown(post, reactor, self.share());
        let Some(running) = running else {
            self.leave_thread(reactor);
            reactor.crew.add_task(reactor, Code::Job(self.clone()).into());
            return Acted::Otherwise;
        };
        self.try_run(reactor);
        match running.end(reactor) {
            true => Acted::Worked(self.session.clone()),
            false => Acted::Lost,
        }
    }

    /// Has the poller watch the object, once, instead of a thread that would find it signalled again
    /// and again until a worker has taken it.
    fn leave_thread(&self, reactor: &Reactor) {
        let newest = self.waiting().as_ref().and_then(|inside| inside.newest.clone());
        if let Some(newest) = newest.filter(|newest| newest.is(self)) {
            newest.forget(self);
            self.add_to_poller(reactor);
        }
    }

    /// Ends the wait for another reason, unless the object was signalled all the same.
    pub(crate) fn end(&self, reactor: &Arc<Reactor>, outcome: Outcome) {
        let Some(inside) = self.waiting().take() else { return };
        let outcome = match &inside.object {
            _ if inside.is_taken => Outcome::Fired,
            Some(object) if matches!(try_take(&**object), Ok(true)) => Outcome::Fired,
            _ => outcome,
        };
        self.finish(reactor, Some(inside), outcome);
    }

    /// Ends the wait and drops the work. Returns `false` if the wait has ended, or has taken the object.
    fn cancel(&self, reactor: &Reactor) -> bool {
        let mut waiting = self.waiting();
        let Some(inside) = waiting.take_if(|inside| !inside.is_taken) else { return false };
        drop(waiting);
        self.clean_up(reactor, Some(&inside));
        drop(inside);
        // The server may end now, and this thread need not be one of its own.
        reactor.look_around();
        true
    }

    /// Ends the wait without doing the work.
    fn forget(&self, reactor: &Reactor) {
        let waiting = self.waiting().take();
        self.clean_up(reactor, waiting.as_ref());
    }

    fn finish(&self, reactor: &Arc<Reactor>, waiting: Option<Waiting>, outcome: Outcome) {
        self.clean_up(reactor, waiting.as_ref());
        let Some(Waiting { work, object, _hold, _taken, .. }) = waiting else { return };
        drop(object);
        let Some(work) = work.into_inner() else { return };
        if let Err(text) = guard(|| work(outcome)) {
            crate::log::error!(?outcome, %text, "a job panicked");
        }
        reactor.end_copy();
    }

    fn clean_up(&self, reactor: &Reactor, waiting: Option<&Waiting>) {
        self.session.remove_job(reactor, self.key());
        let Some(waiting) = waiting else { return };
        reactor.forget_source(self.key());
        if let Some(object) = &waiting.object {
            let event_loop = reactor.loop_of(self.key());
            match &waiting.newest {
                None => event_loop.poller().remove(object.handle()),
                // One that stays with a client soon wakes by itself.
                Some(newest) if newest.forget(self) && Arc::ptr_eq(newest, &event_loop.newest) => {
                    event_loop.wake(&reactor.stop);
                }
                Some(_) => {}
            }
        }
        if let Some(timer) = waiting.timer {
            reactor.timers.forget(timer);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refers to a job without keeping anything of it.
#[derive(Clone, Debug)]
pub(crate) struct JobRef {
    job: Weak<Job>,
    reactor: Weak<Reactor>,
}

impl JobRef {
    /// Cancels the job. Returns whether its work will not run.
    pub(super) fn cancel(&self) -> bool {
        let (Some(job), Some(reactor)) = (self.job.upgrade(), self.reactor.upgrade()) else {
            return false;
        };
        reactor.is_own() && job.cancel(&reactor)
    }
}

/// What the kernel says when the object may be taken.
fn interest(object: &Object) -> Interest {
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
