//! Background tasks: work that waits for an object or a timer without a thread.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use syshandle_os::{BorrowedHandle, Interest, Readiness, Waitable, try_take};
use syshandle_wire::Fault;

use super::activity::{ActivityKind, KeepAlive};
use super::connection::ServerConnection;
use super::event_loop::Source;
use super::reactor::Reactor;
use super::receiving::EventOutcome;
use super::session::Session;
use super::timers::{Timer, TimerId};
use super::watchdog::WorkerSlot;
use super::work_item::UserCode;
use crate::guard::{ForeignValue, guard};
use crate::quota::{Quota, QuotaGuard, Resource};
use crate::server::Outcome;
use crate::server::background_task::{TaskWork, too_many_tasks};
use crate::setup::other_process;
use crate::sync::atomic::AtomicU64;
use crate::sync::{Mutex, MutexGuard, now};
use crate::{Error, ErrorKind, Result};

/// An object of the program's own type, whose methods may panic.
pub(super) struct UserWaitable<W>(ForeignValue<W>);

impl<W> UserWaitable<W> {
    pub(super) fn new(object: W) -> Self {
        Self(ForeignValue::new(object))
    }
}

impl<W: Waitable> Waitable for UserWaitable<W> {
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

/// A background task.
pub(crate) struct Task {
    key: AtomicU64,
    session: Arc<Session>,
    /// The wait; `None` when it has ended. The thread that takes it ends the wait.
    waiting: Mutex<Option<TaskWait>>,
}

struct TaskWait {
    /// `None` for a task that waits for a timer only.
    object: Option<WaitObject>,
    work: ForeignValue<TaskWork>,
    timer: Option<TimerId>,
    _keep_alive: KeepAlive,
    _taken: QuotaGuard,
}

/// The object that a task waits for.
pub(super) type WaitObject = Box<dyn Waitable + Send + Sync>;

impl Task {
    /// Starts a background task. Waits for `object` for at most `timeout`, and then runs `work`.
    /// Without an object, waits until `timeout` has passed.
    pub(crate) fn start(
        reactor: &Arc<Reactor>,
        connection: &ServerConnection,
        object: Option<WaitObject>,
        timeout: Duration,
        work: TaskWork,
    ) -> Result<TaskRef> {
        if !reactor.is_own() {
            return Err(other_process("context"));
        }
        let session = connection.session();
        let taken = match object {
            Some(_) => session.quota.take(Resource::BackgroundTask, 1),
            None => session.quota.take(Resource::Timer, 0),
        };
        let _taken =
            taken.map_err(|limit| Error::from_fault(&Fault::Busy { limit: limit.into() }))?;
        let _keep_alive = reactor.keep_alive(ActivityKind::Work);
        // The kernel reports only later changes of such an object, so the object is checked once
        // for an earlier change.
        let changed = |object: &WaitObject| object.readiness() == Readiness::Changed;
        let look_first = object.as_ref().is_some_and(changed);
        let work = ForeignValue::new(work);
        let waiting = TaskWait { object, work, timer: None, _keep_alive, _taken };
        let task = Arc::new(Self {
            key: AtomicU64::new(0),
            session: session.clone(),
            waiting: Mutex::new(Some(waiting)),
        });
        let source = |key| {
            task.key.store(key, Ordering::Release);
            Source::Task(task.clone())
        };
        // The lock is held because the object may be signalled before the setup is complete.
        let task_ref = TaskRef { task: Arc::downgrade(&task), reactor: Arc::downgrade(reactor) };
        let mut waiting = task.waiting();
        let Some(inside) = waiting.as_mut() else { return Ok(task_ref) };
        // The task uses the loop of its client, so that calls and tasks of one client wake one
        // thread.
        let event_loop = reactor.loop_of(connection.key());
        let key = event_loop.add(source, |poller, key| match &inside.object {
            Some(object) => poller.add(object.handle(), key, interest(object)),
            None => Ok(()),
        });
        let key = key.map_err(|error| {
            Error::detected(ErrorKind::System, "the object can't be waited for").because(error)
        })?;
        inside.timer = now()
            .checked_add(timeout)
            .map(|deadline| reactor.timers.set(deadline, Timer::Task(key)));
        drop(waiting);
        if !session.add_task(reactor, connection.socket(), &task) {
            task.forget(reactor);
            return Err(too_many_tasks());
        }
        if look_first {
            task.try_run(reactor);
        }
        Ok(task_ref)
    }

    /// Returns whether the wait has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.waiting().is_none()
    }

    /// Returns the quota of the client.
    pub(super) fn quota(&self) -> &Arc<Quota> {
        &self.session.quota
    }

    pub(crate) fn key(&self) -> u64 {
        self.key.load(Ordering::Acquire)
    }

    /// Runs the work if the object is signalled and no other waiter took the signal.
    pub(crate) fn try_run(&self, reactor: &Arc<Reactor>) {
        let mut waiting = self.waiting();
        let Some(inside) = waiting.as_mut() else { return };
        let Some(object) = &inside.object else { return };
        let outcome = match object.take() {
            Ok(true) => Outcome::Fired,
            Ok(false) => {
                return reactor.watch_again(object.handle(), self.key(), interest(object));
            }
            Err(error) => {
                crate::log::warn!(%error, "the state of an object for which a background task waits can't be read");
                Outcome::Expired
            }
        };
        let inside = waiting.take();
        drop(waiting);
        self.finish(reactor, inside, outcome);
    }

    /// Handles an object that may be signalled: runs the work on this thread or has a worker run
    /// it.
    pub(super) fn act(self: &Arc<Self>, reactor: &Arc<Reactor>, slot: &WorkerSlot) -> EventOutcome {
        let running = reactor.watchdog.try_start_unknown(slot, reactor, self.quota());
        let Some(running) = running else {
            reactor.workers.add_work(reactor, UserCode::Task(self.clone()).into());
            return EventOutcome::Otherwise;
        };
        self.try_run(reactor);
        EventOutcome::after(running, reactor)
    }

    /// Ends the wait with another outcome, unless the object was signalled in the meantime.
    pub(crate) fn end(&self, reactor: &Arc<Reactor>, outcome: Outcome) {
        let Some(inside) = self.waiting().take() else { return };
        let outcome = match &inside.object {
            Some(object) if matches!(try_take(&**object), Ok(true)) => Outcome::Fired,
            _ => outcome,
        };
        self.finish(reactor, Some(inside), outcome);
    }

    /// Ends the wait and drops the work. Returns `false` if the wait has ended.
    fn cancel(&self, reactor: &Reactor) -> bool {
        let Some(inside) = self.waiting().take() else { return false };
        self.clean_up(reactor, Some(&inside));
        drop(inside);
        // The server may have to end now, and this thread may not be one of its own.
        reactor.look_around();
        true
    }

    /// Ends the wait and drops the work, without an outcome.
    fn forget(&self, reactor: &Reactor) {
        let waiting = self.waiting().take();
        self.clean_up(reactor, waiting.as_ref());
    }

    fn finish(&self, reactor: &Arc<Reactor>, waiting: Option<TaskWait>, outcome: Outcome) {
        self.clean_up(reactor, waiting.as_ref());
        let Some(TaskWait { work, object, _keep_alive, _taken, .. }) = waiting else { return };
        drop(object);
        let Some(work) = work.into_inner() else { return };
        if let Err(text) = guard(|| work(outcome)) {
            crate::log::error!(?outcome, panic = %text, "a background task panicked");
        }
        reactor.end_copy();
    }

    fn clean_up(&self, reactor: &Reactor, waiting: Option<&TaskWait>) {
        self.session.remove_task(reactor, self.key());
        let Some(waiting) = waiting else { return };
        reactor.forget_source(self.key());
        if let Some(object) = &waiting.object {
            reactor.loop_of(self.key()).poller().remove(object.handle());
        }
        if let Some(timer) = waiting.timer {
            reactor.timers.forget(timer);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<TaskWait>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reference to a background task that keeps nothing alive.
#[derive(Clone, Debug)]
pub(crate) struct TaskRef {
    task: Weak<Task>,
    reactor: Weak<Reactor>,
}

impl TaskRef {
    /// Cancels the task. Returns `true` if its work will not run because of this call.
    pub(crate) fn cancel(&self) -> bool {
        let (Some(task), Some(reactor)) = (self.task.upgrade(), self.reactor.upgrade()) else {
            return false;
        };
        reactor.is_own() && task.cancel(&reactor)
    }
}

/// Returns the interest with which the poller watches an object.
fn interest(object: &WaitObject) -> Interest {
    match object.readiness() {
        Readiness::Readable => Interest::OnceReadable,
        Readiness::Changed => Interest::OnceChanged,
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("key", &self.key()).finish_non_exhaustive()
    }
}
