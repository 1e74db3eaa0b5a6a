//! Cancels calls from another thread.

use std::io;
use std::sync::Arc;

use syshandle_os::ManualEvent;

/// Cancels calls from another thread: those in progress, and those made later.
///
/// Clones share one state. Give one clone to the client (`with_cancel`) and keep the other.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<ManualEvent>);

impl Cancel {
    /// Makes a `Cancel` in the state "not cancelled". It holds one handle.
    ///
    /// # Errors
    /// The errors of `CreateEvent`.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(ManualEvent::new()?)))
    }

    /// Ends the calls: each returns [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) at once.
    /// COM is asked to end the call, but a running method continues.
    pub fn cancel(&self) {
        // Setting an open event does not fail.
        let _ = self.0.set();
    }

    /// Returns whether [`cancel`](Self::cancel) has been called.
    pub fn is_cancelled(&self) -> bool {
        self.0.poll().unwrap_or(true)
    }

    pub(crate) fn event(&self) -> &ManualEvent {
        &self.0
    }
}
