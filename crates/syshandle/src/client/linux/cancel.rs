//! Cancels calls from another thread.

use std::io;
use std::sync::{Arc, PoisonError};

use syshandle_os::{ManualEvent, ProcessMark};

use crate::sync::Mutex;
use crate::sync::thread::Thread;

/// Cancels calls from another thread: those in progress, and those made later.
///
/// Clones share one state. Give one clone to the client (`with_cancel`) and keep the other.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<CancelState>);

#[derive(Debug)]
struct CancelState {
    /// Process that made this value. A forked copy shares the eventfd, but must not cancel these
    /// calls.
    owner: ProcessMark,
    /// Wakes the thread that receives.
    event: ManualEvent,
    /// Sleeping threads to wake.
    threads: Mutex<Vec<Thread>>,
}

impl Cancel {
    /// Makes a `Cancel` in the state "not cancelled". It holds one file descriptor.
    ///
    /// # Errors
    /// The system has no descriptor or no memory left.
    pub fn new() -> io::Result<Self> {
        let (owner, event) = (ProcessMark::current(), ManualEvent::new()?);
        let shared = CancelState { owner, event, threads: Mutex::new(Vec::new()) };
        Ok(Self(Arc::new(shared)))
    }

    /// Ends the calls: each returns [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) at once.
    /// The server is told, but a running method continues unless it checks for the cancel itself.
    /// In a forked copy of the process this has no effect.
    pub fn cancel(&self) {
        if !self.0.owner.is_current() {
            return;
        }
        // Setting an open eventfd does not fail.
        let _ = self.0.event.set();
        for thread in self.0.threads.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            thread.unpark();
        }
    }

    /// Returns whether [`cancel`](Self::cancel) has been called.
    pub fn is_cancelled(&self) -> bool {
        self.0.event.poll().unwrap_or(true)
    }

    pub(crate) fn event(&self) -> &ManualEvent {
        &self.0.event
    }

    /// Lets `cancel` wake `thread` too, until the returned value is dropped.
    pub(crate) fn register<'c>(&'c self, thread: &Thread) -> CancelRegistration<'c> {
        self.0.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread.clone());
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
