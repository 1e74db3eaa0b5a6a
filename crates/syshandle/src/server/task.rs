//! User code that a worker thread runs, beside the event loops.

use std::sync::Arc;

use syshandle_wire::{Fault, Hello};

use super::connection::Connection;
use super::jobs::{Job, Outcome};
use super::reactor::Reactor;
use super::sentinel::Post;
use super::work::Work;
use crate::sync::now;

/// User code for a worker thread: a slow method, or what would exceed the limit of methods that run
/// at once.
pub(super) enum Task {
    /// Runs a method.
    Call(Work),
    /// Creates the object of a client.
    Open(Arc<Connection>, Hello),
    /// Takes the object that a job waits for, and does its work.
    Job(Arc<Job>),
    /// Ends a job for another reason.
    EndJob(Arc<Job>, Outcome),
    /// Releases a connection, and with it perhaps the user's object.
    Release(Arc<Connection>),
}

impl Task {
    /// Whether it may begin: not while its client has as many methods running as may.
    pub(super) fn may_start(&self) -> bool {
        match self {
            Self::Call(work) => work.may_start(),
            _ => true,
        }
    }

    /// Takes the task's part of its client's share; `false` if the client has too many methods running.
    pub(super) fn start(&mut self) -> bool {
        match self {
            Self::Call(work) => work.start_after_wait(),
            _ => true,
        }
    }

    /// Does it, on this thread.
    pub(super) fn run(self, reactor: &Arc<Reactor>, post: &Post) {
        match self {
            Self::Call(work) => {
                let connection = work.connection.clone();
                let method = work.method;
                post.set_site(connection.site(method));
                let began = now();
                let took = work.run(reactor) - began;
                connection.learn(method, took);
                post.set_site(Default::default());
            }
            Self::Open(connection, hello) => connection.open_or_refuse(reactor, hello),
            Self::Job(job) => job.try_run(reactor),
            Self::EndJob(job, outcome) => reactor.end_job_now(&job, outcome),
            Self::Release(connection) => drop(connection),
        }
    }

    /// The server ends before the task could begin.
    pub(super) fn refuse(self, reactor: &Arc<Reactor>) {
        match self {
            Self::Call(work) => work.refuse(reactor, &Fault::Draining),
            Self::EndJob(job, outcome) => reactor.end_job_now(&job, outcome),
            Self::Open(..) | Self::Job(_) | Self::Release(_) => {}
        }
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Call(_) => "Call",
            Self::Open(..) => "Open",
            Self::Job(_) => "Job",
            Self::EndJob(..) => "EndJob",
            Self::Release(_) => "Release",
        })
    }
}
