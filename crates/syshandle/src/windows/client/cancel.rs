//! Ending a call from another thread.

use std::io;
use std::sync::Arc;

use syshandle_os::ManualEvent;

/// Ends calls from another thread: those that wait, and those that would.
///
/// Clones are the same: give one to the client (`with_cancel`), keep the other.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<ManualEvent>);

impl Cancel {
    /// One that hasn't cancelled anything yet.
    ///
    /// # Errors
    /// Those of `CreateEvent`.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(ManualEvent::new()?)))
    }

    /// Ends the calls: each returns [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) at once.
    /// COM is asked to end the call; a method that runs goes on.
    pub fn cancel(&self) {
        // It fails for no event that is open.
        let _ = self.0.set();
    }

    /// Whether it has.
    pub fn is_cancelled(&self) -> bool {
        self.0.poll().unwrap_or(true)
    }

    pub(crate) fn event(&self) -> &ManualEvent {
        &self.0
    }
}
