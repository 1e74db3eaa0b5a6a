//! Ends a running server, and reads its statistics.

use std::sync::Arc;

use super::context::CallContext;
use super::reactor::Reactor;
use crate::Result;
use crate::server::stats::ServerStats;
use crate::setup::other_process;

/// A reference to a running server.
#[derive(Clone, Debug)]
pub(crate) struct ServerControl(pub(super) Arc<Reactor>);

impl ServerControl {
    /// Returns a reference to the server that runs a call.
    pub(crate) fn of(context: &CallContext) -> Self {
        Self(context.reactor.clone())
    }

    /// Begins the end of the server, as `SIGTERM` does.
    pub(crate) fn shut_down(&self) {
        // A forked copy shares the event that wakes the threads of the server.
        if !self.0.is_own() {
            return;
        }
        self.0.tell_to_end();
    }

    pub(crate) fn stats(&self) -> ServerStats {
        self.0.stats()
    }

    /// Returns an error in a forked copy of the server's process.
    pub(crate) fn check_process(&self) -> Result<()> {
        match self.0.is_own() {
            true => Ok(()),
            false => Err(other_process("server")),
        }
    }
}
