//! The newest job: a thread waits for it in the system call that it sleeps in anyway.
//!
//! To add an object to a poller and take it out again costs as much as five other system calls, and
//! after a job has begun, what comes next is mostly what it waits for. So the newest one isn't added
//! at first. The thread that runs a loop waits for its poller and for that object at once; one that
//! stays with a client, for its socket and for that object. When something else comes before, or
//! another job begins, the job is added, and waits there for as long as it takes.

use std::sync::{Arc, PoisonError};

use super::jobs::Job;
use crate::sync::thread::{self, ThreadId};
use crate::sync::{Mutex, MutexGuard};

/// A job that isn't in a poller, and that one thread looks after.
#[derive(Debug, Default)]
pub(crate) struct Newest(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    job: Option<Arc<Job>>,
    /// Looks after the job before it sleeps. Nobody else puts one here, since it would be asleep.
    attendant: Option<ThreadId>,
}

impl Newest {
    /// This thread looks after the job from now on.
    pub(super) fn attend(&self) {
        self.state().attendant = Some(thread::current().id());
    }

    /// Nobody does any more; what is there is to be added to the poller.
    pub(super) fn leave(&self) -> Option<Arc<Job>> {
        let mut state = self.state();
        state.attendant = None;
        state.job.take()
    }

    /// Takes a job that has just begun, and returns the one before, which is to be added to the
    /// poller. Fails unless this thread looks after it.
    pub(super) fn put(&self, job: &Arc<Job>) -> Result<Option<Arc<Job>>, Unattended> {
        let this = thread::current().id();
        let mut state = self.state();
        match state.attendant == Some(this) {
            true => Ok(state.job.replace(job.clone())),
            false => Err(Unattended),
        }
    }

    /// The job.
    pub(super) fn job(&self) -> Option<Arc<Job>> {
        self.state().job.clone()
    }

    /// Whether it is this one.
    pub(super) fn is(&self, job: &Job) -> bool {
        self.state().is(job)
    }

    /// Takes the job out: it is to be added to the poller.
    pub(super) fn take(&self) -> Option<Arc<Job>> {
        self.state().job.take()
    }

    /// The wait of a job has ended; whether another thread may sleep with its object.
    pub(super) fn forget(&self, job: &Job) -> bool {
        let this = thread::current().id();
        let mut state = self.state();
        let is_it = state.is(job);
        if is_it {
            state.job = None;
        }
        is_it && state.attendant.is_some_and(|attendant| attendant != this)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is(&self, job: &Job) -> bool {
        self.job.as_deref().is_some_and(|newest| std::ptr::eq(newest, job))
    }
}

/// Another thread looks after it, or none.
#[derive(Debug)]
pub(super) struct Unattended;
