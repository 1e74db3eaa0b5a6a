//! Ends a running server, and reads its statistics.

use std::sync::Arc;
use std::time::Duration;

use super::activity::Activity;
use super::context::CallContext;
use super::ending;
use crate::Result;
use crate::server::stats::ServerStats;

/// A reference to a running server.
#[derive(Clone, Debug)]
pub(crate) struct ServerControl(pub(super) Arc<Activity>);

impl ServerControl {
    /// Returns a reference to the server that runs a call.
    pub(crate) fn of(context: &CallContext) -> Self {
        Self(context.activity().clone())
    }

    pub(crate) fn shut_down(&self) {
        if self.0.shut_down() && self.0.is_in_process() {
            let activity = self.0.clone();
            let thread = std::thread::Builder::new().name("syshandle-server".to_owned());
            let ended = thread.spawn(move || ending::end(&activity, Duration::ZERO));
            if let Err(error) = ended {
                crate::log::error!(%error, "an object of this process can't be ended");
            }
        }
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
