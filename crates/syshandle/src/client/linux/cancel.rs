//! The threads and tasks that a cancel wakes.

use std::collections::BTreeMap;
use std::io;
use std::sync::PoisonError;
use std::task::Waker;

use syshandle_os::{ManualEvent, ProcessMark};

use crate::client::cancel::Cancel;
use crate::sync::thread::Thread;
use crate::sync::{Mutex, MutexGuard};

#[derive(Debug)]
pub(in crate::client) struct CancelState {
    /// Process that made this value. A forked copy shares the eventfd, but must not cancel these
    /// calls.
    owner: ProcessMark,
    /// Wakes the thread that receives, and a task that waits for an object.
    pub(in crate::client) event: ManualEvent,
    sleepers: Mutex<Sleepers>,
}

/// What a cancel wakes.
#[derive(Debug, Default)]
struct Sleepers {
    threads: Vec<Thread>,
    tasks: BTreeMap<u64, Waker>,
    /// Key of the last task.
    last_task: u64,
}

impl CancelState {
    pub(in crate::client) fn new() -> io::Result<Self> {
        let (owner, event) = (ProcessMark::current(), ManualEvent::new()?);
        Ok(Self { owner, event, sleepers: Mutex::new(Sleepers::default()) })
    }

    pub(in crate::client) fn cancel(&self) {
        if !self.owner.is_current() {
            return;
        }
        // Setting an open eventfd does not fail.
        let _ = self.event.set();
        let mut sleepers = self.sleepers();
        sleepers.threads.iter().for_each(Thread::unpark);
        let tasks = std::mem::take(&mut sleepers.tasks);
        drop(sleepers);
        tasks.into_values().for_each(Waker::wake);
    }

    fn sleepers(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cancel {
    /// Lets `cancel` wake `thread` too, until the returned value is dropped.
    pub(crate) fn register<'c>(&'c self, thread: &Thread) -> CancelRegistration<'c> {
        self.0.sleepers().threads.push(thread.clone());
        CancelRegistration { cancel: self, thread: thread.clone() }
    }

    /// Lets `cancel` wake a task too. `key` identifies the task, once it is registered.
    pub(super) fn register_task(&self, key: &mut Option<u64>, waker: &Waker) {
        let mut sleepers = self.0.sleepers();
        let key = *key.get_or_insert_with(|| {
            sleepers.last_task += 1;
            sleepers.last_task
        });
        sleepers.tasks.insert(key, waker.clone());
    }

    /// Forgets a registered task.
    pub(super) fn forget_task(&self, key: u64) {
        self.0.sleepers().tasks.remove(&key);
    }
}

pub(crate) struct CancelRegistration<'c> {
    cancel: &'c Cancel,
    thread: Thread,
}

impl Drop for CancelRegistration<'_> {
    fn drop(&mut self) {
        let mut sleepers = self.cancel.0.sleepers();
        let place = sleepers.threads.iter().position(|thread| thread.id() == self.thread.id());
        if let Some(place) = place {
            sleepers.threads.swap_remove(place);
        }
    }
}
