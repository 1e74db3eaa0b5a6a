//! The settings of a reactor.

use std::time::Duration;

use syshandle_os::Filesystems;

use crate::quota::QuotaLimits;

/// The settings of a reactor.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Number of event loops: one per core, if many clients are expected.
    pub(crate) loops: usize,
    /// Limit of methods that run at once.
    pub(crate) max_concurrent_calls: usize,
    /// Limit of connections and doors.
    pub(crate) max_clients: usize,
    /// The idle timeout; `None` disables it.
    pub(crate) idle: Option<Duration>,
    /// The drain timeout: how long running methods and tasks may take when the server is told to
    /// end.
    pub(crate) drain: Duration,
    /// File systems whose files are accepted from clients.
    pub(crate) filesystems: Filesystems,
    /// The resources of the server, of which each client has a quota.
    pub(crate) quota_limits: QuotaLimits,
}

impl Settings {
    /// Returns the settings for an object that a process serves without a server, until the last
    /// reference to it is dropped.
    pub(crate) fn of_object(quota_limits: QuotaLimits) -> Self {
        Self {
            loops: 1,
            max_concurrent_calls: quota_limits.calls,
            max_clients: quota_limits.clients,
            idle: Some(Duration::ZERO),
            drain: Duration::ZERO,
            filesystems: Filesystems::local(),
            quota_limits,
        }
    }
}
