//! The event that a cancel sets.

use std::io;

use syshandle_os::ManualEvent;

/// The event that a cancel sets.
#[derive(Debug)]
pub(in crate::client) struct CancelState {
    pub(in crate::client) event: ManualEvent,
}

impl CancelState {
    pub(in crate::client) fn new() -> io::Result<Self> {
        Ok(Self { event: ManualEvent::new()? })
    }

    pub(in crate::client) fn cancel(&self) {
        // Setting an open event does not fail.
        let _ = self.event.set();
    }
}
