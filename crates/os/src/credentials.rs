//! The identity of the process at the other end of a connection.

#[cfg(not(windows))]
use crate::{GroupId, UserId};

/// The process at the other end of a connection.
///
/// On Linux the kernel reports it, with its user and group. On Windows the RPC runtime reports it,
/// and COM decides before a call arrives whether the user of the process may use the server, by the
/// class's launch and access permissions.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(windows, derive(Eq))]
#[non_exhaustive]
pub struct Credentials {
    /// The number of the process; on Linux, in this pid namespace, and 0 if it isn't visible there.
    ///
    /// The number is for display only. It may refer to another process by the time it is used.
    pub pid: u32,
    /// Linux only: the effective user of the process.
    #[cfg(not(windows))]
    pub uid: UserId,
    /// Linux only: the effective group of the process.
    #[cfg(not(windows))]
    pub gid: GroupId,
}

impl Credentials {
    #[cfg(not(windows))]
    pub(crate) fn new(pid: u32, uid: u32, gid: u32) -> Self {
        Self { pid, uid: UserId::from_kernel(uid), gid: GroupId::from_kernel(gid) }
    }

    /// Windows only: makes the credentials of the process with this number.
    #[cfg(windows)]
    pub const fn of_process(pid: u32) -> Self {
        Self { pid }
    }
}

#[cfg(not(windows))]
impl Credentials {
    /// Converts the credentials that the kernel reports about a socket.
    pub(crate) fn from_kernel(raw: libc::ucred) -> Self {
        Self::new(raw.pid.unsigned_abs(), raw.uid, raw.gid)
    }
}
