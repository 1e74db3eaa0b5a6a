//! The newest background task of a loop or client: a thread waits for its object in the system call
//! in which it sleeps anyway.
//!
//! Adding an object to a poller and removing it costs as much as five other system calls, and the
//! next event after the start of a task is usually the signal of its object. So the newest task is
//! not added at first. The thread of a loop waits for its poller and for this object at the same
//! time. A thread that is dedicated to a client waits for its socket and for this object. If
//! another source becomes ready first, or another task starts, the task is added to the poller and
//! stays there until it ends.

use std::sync::{Arc, PoisonError};

use super::jobs::Job;
use crate::sync::thread::{self, ThreadId};
use crate::sync::{Mutex, MutexGuard};

/// The place for a background task that is outside the poller because one thread waits for its
/// object directly.
#[derive(Debug, Default)]
pub(crate) struct Newest(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    job: Option<Arc<Job>>,
    /// The thread that waits for the object when it sleeps. Only this thread may put a task here,
    /// because any other thread could find it asleep already.
    attendant: Option<ThreadId>,
}

impl Newest {
    /// Makes this thread the one that waits for the object.
    pub(super) fn attend(&self) {
        self.state().attendant = Some(thread::current().id());
    }

    /// Removes the waiting thread and the task. Returns the task, which the caller adds to the
    /// poller.
    pub(super) fn leave(&self) -> Option<Arc<Job>> {
        let mut state = self.state();
        state.attendant = None;
        state.job.take()
    }

    /// Puts a task here that has just started. Returns the previous one, which the caller adds to
    /// the poller. Fails unless this is the thread that waits for the object.
    pub(super) fn put(&self, job: &Arc<Job>) -> Result<Option<Arc<Job>>, Unattended> {
        let this = thread::current().id();
        let mut state = self.state();
        match state.attendant == Some(this) {
            true => Ok(state.job.replace(job.clone())),
            false => Err(Unattended),
        }
    }

    /// Returns the task.
    pub(super) fn job(&self) -> Option<Arc<Job>> {
        self.state().job.clone()
    }

    /// Returns whether `job` is here.
    pub(super) fn is(&self, job: &Job) -> bool {
        self.state().is(job)
    }

    /// Takes the task, which the caller adds to the poller or handles.
    pub(super) fn take(&self) -> Option<Arc<Job>> {
        self.state().job.take()
    }

    /// Removes a task that has ended. Returns whether another thread may be asleep with its object.
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

/// The error of a place for which another thread waits, or none.
#[derive(Debug)]
pub(super) struct Unattended;
