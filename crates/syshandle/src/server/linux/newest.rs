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

use super::task::Task;
use crate::sync::thread::{self, ThreadId};
use crate::sync::{Mutex, MutexGuard};

/// The place for a background task that is outside the poller because one thread waits for its
/// object directly.
#[derive(Debug, Default)]
pub(crate) struct Newest(Mutex<NewestState>);

#[derive(Debug, Default)]
struct NewestState {
    task: Option<Arc<Task>>,
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
    pub(super) fn leave(&self) -> Option<Arc<Task>> {
        let mut state = self.state();
        state.attendant = None;
        state.task.take()
    }

    /// Puts a task here that has just started. Returns the previous one, which the caller adds to
    /// the poller. Fails unless this is the thread that waits for the object.
    pub(super) fn put(&self, task: &Arc<Task>) -> Result<Option<Arc<Task>>, WrongThread> {
        let this = thread::current().id();
        let mut state = self.state();
        match state.attendant == Some(this) {
            true => Ok(state.task.replace(task.clone())),
            false => Err(WrongThread),
        }
    }

    /// Returns the task.
    pub(super) fn task(&self) -> Option<Arc<Task>> {
        self.state().task.clone()
    }

    /// Returns whether `task` is here.
    pub(super) fn is(&self, task: &Task) -> bool {
        self.state().is(task)
    }

    /// Removes and returns the task. The caller adds it to the poller or handles it.
    pub(super) fn take(&self) -> Option<Arc<Task>> {
        self.state().task.take()
    }

    /// Removes a task that has ended. Returns whether another thread may be asleep with its object.
    pub(super) fn forget(&self, task: &Task) -> bool {
        let this = thread::current().id();
        let mut state = self.state();
        let is_it = state.is(task);
        if is_it {
            state.task = None;
        }
        is_it && state.attendant.is_some_and(|attendant| attendant != this)
    }

    fn state(&self) -> MutexGuard<'_, NewestState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NewestState {
    fn is(&self, task: &Task) -> bool {
        self.task.as_deref().is_some_and(|newest| std::ptr::eq(newest, task))
    }
}

/// The error of a place for which another thread waits, or none.
#[derive(Debug)]
pub(super) struct WrongThread;
