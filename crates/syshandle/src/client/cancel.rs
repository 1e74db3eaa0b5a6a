//! Ending a call from another thread.

use std::io;
use std::sync::{Arc, PoisonError};

use syshandle_os::{ManualEvent, ProcessMark};

use crate::sync::Mutex;
use crate::sync::thread::Thread;

/// Ends calls from another thread: those that wait, and those that would.
///
/// Clones are the same: give one to the client (`with_cancel`), keep the other.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The event is shared with a forked copy of the process, which must not cancel these calls.
    owner: ProcessMark,
    /// Wakes the thread that receives.
    event: ManualEvent,
    /// Those that sleep, to be woken.
    threads: Mutex<Vec<Thread>>,
}

impl Cancel {
    /// One that hasn't cancelled anything yet.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn new() -> io::Result<Self> {
        let (owner, event) = (ProcessMark::current(), ManualEvent::new()?);
        let shared = Shared { owner, event, threads: Mutex::new(Vec::new()) };
        Ok(Self(Arc::new(shared)))
    }

    /// Ends the calls: each returns [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) at once.
    /// The server is told; a method that runs goes on unless it asks. In a forked copy of the process
    /// this has no effect.
    pub fn cancel(&self) {
        if !self.0.owner.is_current() {
            return;
        }
        // It fails for no eventfd that is open.
        let _ = self.0.event.set();
        for thread in self.0.threads.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            thread.unpark();
        }
    }

    /// Whether it has.
    pub fn is_cancelled(&self) -> bool {
        self.0.event.poll().unwrap_or(true)
    }

    pub(crate) fn event(&self) -> &ManualEvent {
        &self.0.event
    }

    /// Wakes this thread too, until the value is dropped.
    pub(crate) fn register<'c>(&'c self, thread: &Thread) -> Registered<'c> {
        self.0.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread.clone());
        Registered { cancel: self, thread: thread.clone() }
    }
}

pub(crate) struct Registered<'c> {
    cancel: &'c Cancel,
    thread: Thread,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let mut threads = self.cancel.0.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = threads.iter().position(|thread| thread.id() == self.thread.id()) {
            threads.swap_remove(place);
        }
    }
}
