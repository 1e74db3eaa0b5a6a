//! Tasks: user code that a worker thread runs beside the event loops.

use std::sync::Arc;

use syshandle_wire::{Fault, Hello};

use super::connection::Connection;
use super::jobs::{Job, Outcome};
use super::object::Release;
use super::reactor::Reactor;
use super::sentinel::Post;
use super::work::Work;
use crate::quota::{Quota, QuotaGuard, Resource};
use crate::sync::now;

/// User code for a worker thread: a slow method, or code that would exceed a limit of running
/// methods.
///
/// All user code that a client causes counts among its running methods. A waiting task needs no
/// quota of its own: a waiting call counts as one, a background task has its descriptor or timer,
/// and a connection or door counts until its object is released.
pub(super) struct Task {
    code: Code,
    /// Counts the task among the running methods of its client. A call counts itself.
    running: Option<QuotaGuard>,
}

pub(super) enum Code {
    /// Runs a method.
    Call(Work),
    /// Creates the object of a client.
    Open(Arc<Connection>, Hello),
    /// Takes the signal of a background task's object, and runs its callback.
    Job(Arc<Job>),
    /// Ends a background task with an outcome other than `Fired`.
    EndJob(Arc<Job>, Outcome),
    /// Drops an object of the program.
    Release(Release),
}

impl From<Code> for Task {
    fn from(code: Code) -> Self {
        Self { code, running: None }
    }
}

impl Task {
    /// Returns the quota of the client that causes the task.
    pub(super) fn quota(&self) -> &Arc<Quota> {
        match &self.code {
            Code::Call(work) => &work.connection.session.quota,
            Code::Open(connection, _) => &connection.session.quota,
            Code::Job(job) | Code::EndJob(job, _) => job.quota(),
            Code::Release(release) => release.quota(),
        }
    }

    /// Counts the task among the running methods of its client. Returns `false` if the client has
    /// too many.
    pub(super) fn start(&mut self) -> bool {
        match &mut self.code {
            Code::Call(work) => work.start_after_wait(),
            _ => {
                self.running = self.quota().take(Resource::Call, 0).ok();
                self.running.is_some()
            }
        }
    }

    /// Runs the task on this thread.
    pub(super) fn run(self, reactor: &Arc<Reactor>, post: &Post) {
        let Self { code, running: _running } = self;
        match code {
            Code::Call(work) => {
                let connection = work.connection.clone();
                let method = work.method;
                post.set_site(connection.site(method));
                let began = now();
                let took = work.run(reactor) - began;
                connection.learn(method, took);
                post.set_site(Default::default());
            }
            Code::Open(connection, hello) => connection.open_or_refuse(reactor, hello),
            Code::Job(job) => job.try_run(reactor),
            Code::EndJob(job, outcome) => reactor.end_job_now(&job, outcome),
            Code::Release(release) => release.run(),
        }
    }

    /// Ends a task that did not start because the server ends. Runs no user code: returns the
    /// values of the task, whose destructors are user code.
    pub(super) fn refuse(self, reactor: &Arc<Reactor>) -> Option<Self> {
        match self.code {
            Code::Call(work) => {
                work.refuse(reactor, &Fault::Draining);
                None
            }
            _ => Some(self),
        }
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.code {
            Code::Call(_) => "Call",
            Code::Open(..) => "Open",
            Code::Job(_) => "Job",
            Code::EndJob(..) => "EndJob",
            Code::Release(_) => "Release",
        })
    }
}
