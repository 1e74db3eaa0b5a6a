//! The statistics of a server.

use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(not(windows))]
use syshandle_os::UserId;
use syshandle_wire::Fault;

/// A snapshot of a server's work, from [`ServerRef::stats`](crate::serving::ServerRef::stats).
///
/// Taking one reads some counters of the server, of each event loop and of each client, and makes no
/// system call. The counters are read one after the other while the server works, so they may not
/// fit each other exactly. A call still counts as running for a moment after its client has received
/// the result.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Calls since the start, and calls at present.
    pub calls: CallStats,
    /// Clients and calls that were refused since the start, by reason.
    pub refusals: RefusalStats,
    /// Number of connections and doors. On Windows, the number of objects that clients hold.
    pub clients: usize,
    /// Number of background tasks that wait or run.
    pub background_tasks: usize,
    /// Number of descriptors that the server holds for clients: connections, doors, objects of
    /// background tasks, and handles of calls. COM does not count handles, so this is 0 on Windows.
    pub descriptors: usize,
    /// Number of event loops in use. 0 on Windows, where COM has the threads.
    pub event_loops: usize,
    /// Number of threads that run event loops and methods. 0 on Windows, where COM has the threads.
    pub threads: usize,
    /// The quotas of the present clients, in no particular order. Empty on Windows, which has no
    /// quotas.
    pub quotas: Vec<QuotaStats>,
}

/// Numbers of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallStats {
    /// Number of calls since the start whose method has ended, with a result or an error.
    pub done: u64,
    /// Number of methods that run now, including asynchronous ones. On Linux, callbacks of background tasks, constructors and
    /// destructors count too.
    pub running: usize,
    /// Number of calls that wait for other methods to end. 0 on Windows, where COM has the queue.
    pub waiting: usize,
}

/// Numbers of refused clients and calls since the start. A refused call did not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusalStats {
    /// Clients that the policy does not allow. 0 on Windows, where COM refuses them.
    pub not_allowed: u64,
    /// Clients and calls past a limit ([`ErrorKind::Busy`](crate::ErrorKind::Busy)).
    pub busy: u64,
    /// Calls that were cancelled, or whose deadline had passed, before their method started.
    pub expired: u64,
    /// Calls that arrived while the server was about to end, or after their object was withdrawn.
    pub stopping: u64,
    /// Clients and calls that asked for a class, an interface or a method that does not exist.
    pub not_found: u64,
    /// Calls with arguments that can't be decoded, or with handles of a wrong or unknown kind or
    /// with wrong rights.
    pub invalid: u64,
    /// Calls whose handles were lost, usually because the server had no descriptor left.
    pub handles_lost: u64,
}

/// The quota of one client.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct QuotaStats {
    /// The client.
    pub owner: QuotaOwner,
    /// Connections and doors.
    pub clients: Usage,
    /// Running methods, and other running code that the client causes.
    pub running_calls: Usage,
    /// Calls whose methods are asynchronous and have not ended.
    pub async_calls: Usage,
    /// Calls that wait for other methods to end.
    pub waiting_calls: Usage,
    /// Descriptors. They include the handles in the arguments of running methods and of the tasks
    /// that they started.
    pub descriptors: Usage,
    /// Background tasks.
    pub background_tasks: Usage,
    /// Memory in bytes: unread replies, shared memory, background tasks, and arguments of running
    /// methods and of the tasks that they started.
    pub memory: Usage,
}

/// The client that a quota belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum QuotaOwner {
    /// All processes of a user other than the server's own.
    #[cfg(not(windows))]
    User(UserId),
    /// All users that are unknown in the server's user namespace.
    UnknownUsers,
    /// A process of the server's own user. All processes that are not visible in the server's pid
    /// namespace have the number 0.
    Process(u32),
}

/// The use of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The amount that is in use.
    pub used: usize,
    /// The amount that may be in use; `None` without a limit.
    pub limit: Option<usize>,
}

/// Counts refusals.
#[derive(Debug, Default)]
pub(crate) struct RefusalCounters {
    not_allowed: AtomicU64,
    busy: AtomicU64,
    expired: AtomicU64,
    stopping: AtomicU64,
    not_found: AtomicU64,
    invalid: AtomicU64,
    handles_lost: AtomicU64,
}

impl RefusalCounters {
    /// Counts a client or a call that is refused with this fault. Faults that the program caused
    /// are no refusals.
    #[cold]
    pub(crate) fn count(&self, fault: &Fault) {
        let counter = match fault {
            Fault::NotAllowed { .. } => &self.not_allowed,
            Fault::Busy { .. } => &self.busy,
            Fault::Expired => &self.expired,
            Fault::Draining | Fault::Withdrawn => &self.stopping,
            Fault::NoSuchClass(_) | Fault::NoSuchInterface(_) | Fault::NoSuchMethod(_) => {
                &self.not_found
            }
            Fault::HandlesLost => &self.handles_lost,
            Fault::Aborted { .. } | Fault::NoObject { .. } => return,
            _ => &self.invalid,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> RefusalStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RefusalStats {
            not_allowed: read(&self.not_allowed),
            busy: read(&self.busy),
            expired: read(&self.expired),
            stopping: read(&self.stopping),
            not_found: read(&self.not_found),
            invalid: read(&self.invalid),
            handles_lost: read(&self.handles_lost),
        }
    }
}
