//! Ends a running server, and reads its statistics.

use std::sync::Arc;

use super::activity::Activity;
use super::context::CallContext;
use crate::Result;
use crate::server::stats::ServerStats;

/// A reference to a running server.
#[derive(Clone, Debug)]
pub(crate) struct ServerControl(pub(super) Arc<Activity>);

impl ServerControl {
    /// Refers to the server of a call.
    pub(crate) fn of(context: &CallContext) -> Self {
        Self(context.activity().clone())
    }

    pub(crate) fn shut_down(&self) {
        self.0.shut_down();
    }

    /// A process of Windows has no forked copies.
    #[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
    pub(crate) fn check_process(&self) -> Result<()> {
        Ok(())
    }

    pub(crate) fn stats(&self) -> ServerStats {
        self.0.stats()
    }
}
