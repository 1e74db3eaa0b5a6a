//! Background tasks: work that waits for an object or a timer without a thread.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use syshandle_os::{BorrowedHandle, Interest, PollEvent, Readiness, Seqpacket, Waitable, try_take};
use syshandle_wire::Fault;

use super::argument_quota::ArgumentGuards;
use super::reactor::activity::{ActivityKind, KeepAlive};
use super::reactor::event_loop::{EndingStep, EventOutcome, LoopContext, LoopSource};
use super::reactor::timers::{SourceTimer, TimerId};
use super::reactor::{Reactor, UserCode};
use super::session::Session;
use crate::guard::{ForeignValue, guard};
use crate::quota::{Quota, QuotaGuard, Resource};
use crate::server::Outcome;
use crate::server::background_task::TaskWork;
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
    /// The part of the client's quota for the arguments of the call that started the task.
    _arguments: Option<Arc<ArgumentGuards>>,
}

/// The object that a task waits for.
pub(super) type WaitObject = Box<dyn Waitable + Send + Sync>;

impl Task {
    /// Starts a background task. Waits for `object` for at most `timeout`, and then runs `work`.
    /// Without an object, waits until `timeout` has passed. Until the work has run, the arguments of
    /// the call that starts the task count in the client's quota, because the work may have captured
    /// them.
    pub(super) fn start(
        reactor: &Arc<Reactor>,
        owner: TaskOwner<'_>,
        (object, timeout): (Option<WaitObject>, Duration),
        work: TaskWork,
        arguments: Option<Arc<ArgumentGuards>>,
    ) -> Result<TaskRef> {
        if !reactor.is_own() {
            return Err(other_process("context"));
        }
        let session = owner.session;
        let captured =
            size_of_val(&*work) + object.as_ref().map_or(0, |object| size_of_val(&**object));
        let resource = Resource::BackgroundTask(TASK_BYTES + captured);
        let taken = session.quota.take(resource, usize::from(object.is_some()));
        let _taken =
            taken.map_err(|limit| Error::from_fault(&Fault::Busy { limit: limit.into() }))?;
        let _keep_alive = reactor.keep_alive(ActivityKind::Work);
        // The kernel reports only later changes of such an object, so the object is checked once
        // for an earlier change.
        let changed = |object: &WaitObject| object.readiness() == Readiness::Changed;
        let look_first = object.as_ref().is_some_and(changed);
        let work = ForeignValue::new(work);
        let waiting =
            TaskWait { object, work, timer: None, _keep_alive, _taken, _arguments: arguments };
        let task = Arc::new(Self {
            key: AtomicU64::new(0),
            session: session.clone(),
            waiting: Mutex::new(Some(waiting)),
        });
        let source = |key| -> Arc<dyn LoopSource> {
            task.key.store(key, Ordering::Release);
            task.clone()
        };
        // The lock is held because the object may be signalled before the setup is complete.
        let task_ref = TaskRef { task: Arc::downgrade(&task), reactor: Arc::downgrade(reactor) };
        let mut waiting = task.waiting();
        let Some(inside) = waiting.as_mut() else { return Ok(task_ref) };
        // The task uses the loop of its client, so that calls and tasks of one client wake one
        // thread.
        let event_loop = reactor.loop_of(owner.key);
        let key = event_loop.add(source, |poller, key| match &inside.object {
            Some(object) => poller.add(object.handle(), key, interest(object)),
            None => Ok(()),
        });
        let key = key.map_err(|error| {
            Error::detected(ErrorKind::System, "the object can't be waited for").because(error)
        })?;
        // A timeout beyond the range of the clock needs no timer.
        inside.timer = now()
            .checked_add(timeout)
            .map(|_| reactor.set_timer(timeout, key, SourceTimer::Timeout));
        drop(waiting);
        session.add_task(reactor, owner.socket, &task);
        if look_first {
            task.try_run(reactor);
        }
        Ok(task_ref)
    }

    /// Returns whether the wait has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.waiting().is_none()
    }

    pub(crate) fn key(&self) -> u64 {
        self.key.load(Ordering::Acquire)
    }

    /// Runs the work if the object is signalled and no other waiter took the signal.
    fn try_run(&self, reactor: &Arc<Reactor>) {
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

    /// Has a worker thread check whether the object is signalled.
    fn run_beside(self: Arc<Self>, reactor: &Arc<Reactor>) {
        let quota = self.session.quota.clone();
        reactor.run_beside(UserCode::boxed(&quota, move |reactor| self.try_run(reactor)));
    }

    /// Has the thread of the first loop end the wait.
    fn end_soon(self: Arc<Self>, reactor: &Arc<Reactor>, outcome: Outcome) {
        let quota = self.session.quota.clone();
        reactor.queue(UserCode::boxed(&quota, move |reactor| {
            self.end(reactor, outcome);
            if outcome == Outcome::Stopping {
                reactor.task_was_told();
            }
        }));
    }

    /// Ends the wait with another outcome, unless the object was signalled in the meantime.
    pub(super) fn end(&self, reactor: &Arc<Reactor>, outcome: Outcome) {
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

    fn finish(&self, reactor: &Arc<Reactor>, waiting: Option<TaskWait>, outcome: Outcome) {
        self.clean_up(reactor, waiting.as_ref());
        let Some(TaskWait { work, object, _keep_alive, _taken, _arguments, .. }) = waiting else {
            return;
        };
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
            reactor.forget_timer(timer);
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

impl LoopSource for Task {
    /// Runs the work of an object that may be signalled, on this thread or on a worker.
    fn act(self: Arc<Self>, context: LoopContext<'_>, _: PollEvent) -> EventOutcome {
        match context.try_start_unknown(&self.session.quota) {
            Some(running) => {
                self.try_run(context.reactor);
                EventOutcome::after(running)
            }
            None => {
                self.run_beside(context.reactor);
                EventOutcome::Otherwise
            }
        }
    }

    fn owner(&self) -> Option<&Arc<Quota>> {
        Some(&self.session.quota)
    }

    fn on_timer(self: Arc<Self>, reactor: &Arc<Reactor>, timer: SourceTimer) {
        match timer {
            SourceTimer::Timeout => self.end_soon(reactor, Outcome::Expired),
            SourceTimer::Retry => self.run_beside(reactor),
            SourceTimer::FreeMemory => {}
        }
    }

    fn on_ending(self: Arc<Self>, reactor: &Arc<Reactor>, step: EndingStep) {
        if step == EndingStep::EndTasks {
            reactor.expect_end_of_task();
            self.end_soon(reactor, Outcome::Stopping);
        }
    }
}

/// The client that starts a background task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskOwner<'c> {
    pub(super) session: &'c Arc<Session>,
    pub(super) socket: &'c Seqpacket,
    /// The key of the connection. The task uses the same loop.
    pub(super) key: u64,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("key", &self.key()).finish_non_exhaustive()
    }
}

/// Approximate memory of a background task, without the captured values: the task, and its entries
/// in the tables of timers, sources and tasks.
const TASK_BYTES: usize = size_of::<Task>() + 256;
