//! Cancels calls from another thread.

use std::io;
use std::sync::Arc;

use syshandle_os::ManualEvent;

use super::platform::CancelState;

/// Cancels calls from another thread: those in progress, and those made later.
///
/// Clones share one state. Give one clone to the client (`with_cancel`) and keep the other.
#[derive(Clone, Debug)]
pub struct Cancel(pub(super) Arc<CancelState>);

impl Cancel {
    /// Makes a `Cancel` in the state "not cancelled". It holds one handle.
    ///
    /// # Errors
    /// The system has no handle or no memory left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(CancelState::new()?)))
    }

    /// Ends the calls: each returns [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) at once.
    ///
    /// On Linux the server is told, and a running method continues unless it checks for the cancel
    /// itself. In a forked copy of the process this has no effect. On Windows COM is asked to end
    /// the call, but a running method continues.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Returns whether [`cancel`](Self::cancel) has been called.
    pub fn is_cancelled(&self) -> bool {
        self.event().poll().unwrap_or(true)
    }

    /// Returns the event that a cancel sets.
    pub(crate) fn event(&self) -> &ManualEvent {
        &self.0.event
    }
}
