//! The threads that a cancel wakes.

use std::io;
use std::sync::PoisonError;

use syshandle_os::{ManualEvent, ProcessMark};

use crate::client::cancel::Cancel;
use crate::sync::Mutex;
use crate::sync::thread::Thread;

#[derive(Debug)]
pub(in crate::client) struct CancelState {
    /// Process that made this value. A forked copy shares the eventfd, but must not cancel these
    /// calls.
    owner: ProcessMark,
    /// Wakes the thread that receives.
    pub(in crate::client) event: ManualEvent,
    /// Sleeping threads to wake.
    threads: Mutex<Vec<Thread>>,
}

impl CancelState {
    pub(in crate::client) fn new() -> io::Result<Self> {
        let (owner, event) = (ProcessMark::current(), ManualEvent::new()?);
        Ok(Self { owner, event, threads: Mutex::new(Vec::new()) })
    }

    pub(in crate::client) fn cancel(&self) {
        if !self.owner.is_current() {
            return;
        }
        // Setting an open eventfd does not fail.
        let _ = self.event.set();
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            thread.unpark();
        }
    }
}

impl Cancel {
    /// Lets `cancel` wake `thread` too, until the returned value is dropped.
    pub(crate) fn register<'c>(&'c self, thread: &Thread) -> CancelRegistration<'c> {
        let mut threads = self.0.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.push(thread.clone());
        CancelRegistration { cancel: self, thread: thread.clone() }
    }
}

pub(crate) struct CancelRegistration<'c> {
    cancel: &'c Cancel,
    thread: Thread,
}

impl Drop for CancelRegistration<'_> {
    fn drop(&mut self) {
        let mut threads = self.cancel.0.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = threads.iter().position(|thread| thread.id() == self.thread.id()) {
            threads.swap_remove(place);
        }
    }
}
