//! The holder of a quota: a user, or a process of the server's own user.

use syshandle_os::UserId;

/// The holder of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum QuotaHolder {
    User(u32),
    /// All users that are unknown in this user namespace, because the server can't distinguish
    /// them.
    Unknown,
    /// A process of the server's own user. All processes outside this pid namespace have the number
    /// 0, and therefore share one quota. If each of their connections had its own quota, they could
    /// get any number of quotas.
    Process(u32),
}

impl QuotaHolder {
    /// Returns the holder of the quota of a peer, and the peer's part of all resources in eighths.
    pub(crate) fn of((own_user, own_pid): (UserId, u32), uid: UserId, pid: u32) -> (Self, usize) {
        match uid == own_user {
            // If this process calls an object that it serves itself, it may use all resources.
            true if pid == own_pid => (Self::Process(pid), 8),
            true => (Self::Process(pid), 5),
            false => (uid.number().map_or(Self::Unknown, Self::User), 2),
        }
    }
}
