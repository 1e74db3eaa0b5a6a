//! Work items: user code that a worker thread runs beside the event loops.

use std::sync::Arc;

use syshandle_wire::{Fault, Hello};

use super::call::ServerCall;
use super::connection::ServerConnection;
use super::object::ObjectRelease;
use super::reactor::Reactor;
use super::task::Task;
use super::watchdog::WorkerSlot;
use crate::quota::{Quota, QuotaGuard, Resource};
use crate::server::Outcome;
use crate::sync::now;

/// User code for a worker thread: a slow method, or code that would exceed a limit of running
/// methods.
///
/// All user code that a client causes counts among its running methods. A waiting work item needs
/// no quota of its own: a waiting call counts as one, a background task has its descriptor or
/// timer, and a connection or door counts until its object is released.
pub(super) struct WorkItem {
    code: UserCode,
    /// Counts the work item among the running methods of its client. A call counts itself.
    running: Option<QuotaGuard>,
}

pub(super) enum UserCode {
    /// Runs a method.
    Call(ServerCall),
    /// Creates the object of a client.
    Open(Arc<ServerConnection>, Hello),
    /// Takes the signal of a background task's object, and runs its callback.
    Task(Arc<Task>),
    /// Ends a background task with an outcome other than `Fired`.
    EndTask(Arc<Task>, Outcome),
    /// Drops an object of the program.
    Release(ObjectRelease),
}

impl From<UserCode> for WorkItem {
    fn from(code: UserCode) -> Self {
        Self { code, running: None }
    }
}

impl WorkItem {
    /// Returns the quota of the client that causes the work item.
    pub(super) fn quota(&self) -> &Arc<Quota> {
        match &self.code {
            UserCode::Call(work) => &work.connection.session.quota,
            UserCode::Open(connection, _) => &connection.session.quota,
            UserCode::Task(task) | UserCode::EndTask(task, _) => task.quota(),
            UserCode::Release(release) => release.quota(),
        }
    }

    /// Counts the work item among the running methods of its client. Returns `false` if the client
    /// has too many.
    pub(super) fn start(&mut self) -> bool {
        match &mut self.code {
            UserCode::Call(work) => work.start_after_wait(),
            _ => {
                self.running = self.quota().take(Resource::Call, 0).ok();
                self.running.is_some()
            }
        }
    }

    /// Runs the work item on this thread.
    pub(super) fn run(self, reactor: &Arc<Reactor>, slot: &WorkerSlot) {
        let Self { code, running: _running } = self;
        match code {
            UserCode::Call(work) => {
                let connection = work.connection.clone();
                let method = work.method;
                slot.set_method(connection.method_id(method));
                let began = now();
                let took = work.run(reactor) - began;
                connection.learn(method, took);
                slot.set_method(Default::default());
            }
            UserCode::Open(connection, hello) => connection.open_or_refuse(reactor, hello),
            UserCode::Task(task) => task.try_run(reactor),
            UserCode::EndTask(task, outcome) => reactor.end_task_now(&task, outcome),
            UserCode::Release(release) => release.run(),
        }
    }

    /// Ends a work item that did not start because the server ends. Runs no user code: returns the
    /// values of the work item, whose destructors are user code.
    pub(super) fn refuse(self, reactor: &Arc<Reactor>) -> Option<Self> {
        match self.code {
            UserCode::Call(work) => {
                work.refuse(reactor, &Fault::Draining);
                None
            }
            _ => Some(self),
        }
    }
}

impl std::fmt::Debug for WorkItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.code {
            UserCode::Call(_) => "Call",
            UserCode::Open(..) => "Open",
            UserCode::Task(_) => "Task",
            UserCode::EndTask(..) => "EndTask",
            UserCode::Release(_) => "Release",
        })
    }
}
