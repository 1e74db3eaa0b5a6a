//! The settings of a reactor.

use std::sync::Arc;
use std::time::Duration;

use syshandle_os::Filesystems;

use crate::quota::QuotaLimits;

/// The settings of a reactor.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The threads that run the event loops and the work items.
    pub(crate) threads: Threads,
    /// Number of event loops: one per core, or a single one if the program dispatches its events.
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
    pub(crate) filesystems: Arc<Filesystems>,
    /// The resources of the server, of which each client has a quota.
    pub(crate) quota_limits: QuotaLimits,
}

/// The threads that run the event loops and the work items of a reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// Threads that the reactor starts.
    Own,
    /// The thread of the program that calls `dispatch`. The reactor starts no thread.
    Dispatching,
}

impl Settings {
    /// Returns the settings of the reactor for the objects that a process serves without a server.
    /// It ends with the last reference to the last object.
    pub(crate) fn of_objects() -> Self {
        let descriptors = syshandle_os::descriptor_limit();
        Self {
            threads: Threads::Own,
            loops: syshandle_os::usable_cores(),
            max_concurrent_calls: CALLS_MAX,
            max_clients: CLIENTS_MAX,
            idle: Some(Duration::ZERO),
            drain: Duration::ZERO,
            filesystems: Arc::new(Filesystems::local()),
            quota_limits: QuotaLimits::of_server(CLIENTS_MAX, CALLS_MAX, descriptors),
        }
    }
}

/// Default limit of running methods. Further calls wait.
pub(crate) const CALLS_MAX: usize = 256;

/// Default limit of connections and doors. Each takes a descriptor and some memory.
pub(crate) const CLIENTS_MAX: usize = 16_384;
