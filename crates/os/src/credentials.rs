//! The identity of the process at the other end of a connection.

use std::io;

use crate::Process;
#[cfg(not(windows))]
use crate::{GroupId, UserId};

/// The identity of the process at the other end of a connection.
///
/// On Linux, the kernel reports the process, its user and its group. On Windows, the RPC runtime
/// reports the process. There, COM checks before each call whether the user of the process may use
/// the server, by the class's launch and access permissions.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(windows, derive(Eq))]
#[non_exhaustive]
pub struct Credentials {
    /// The process ID. On Linux, it is the ID in this pid namespace, or 0 if the process isn't
    /// visible there.
    ///
    /// The ID is for display only. Another process may have it by the time it is used.
    pub pid: u32,
    /// Linux only: the effective user ID of the process.
    #[cfg(not(windows))]
    pub uid: UserId,
    /// Linux only: the effective group ID of the process.
    #[cfg(not(windows))]
    pub gid: GroupId,
}

impl Credentials {
    /// Returns the credentials of this process. Tests can change the fields to simulate another
    /// process.
    pub fn current() -> Self {
        #[cfg(windows)]
        return Self::of_process(std::process::id());
        #[cfg(not(windows))]
        Self { pid: std::process::id(), uid: UserId::current(), gid: GroupId::current() }
    }

    /// Opens the process with the ID [`pid`](Self::pid), on Linux as a pidfd (Linux 5.3).
    ///
    /// If the process has ended, another process may have its ID. From Linux 6.13 on, this call
    /// fails if that process belongs to another user. A method that needs certainty calls
    /// `Context::client_process`, which gets the handle from the connection.
    ///
    /// # Errors
    /// `NotFound` if no process has this ID, if the ID is 0, or if the process belongs to another
    /// user. Otherwise the errors of [`Process::open`].
    pub fn process(&self) -> io::Result<Process> {
        let process = Process::open(self.pid)?;
        #[cfg(not(windows))]
        if process.credentials().is_ok_and(|opened| opened.uid.shown() != self.uid.shown()) {
            let text =
                format!("the process {} has ended, and another one has its number", self.pid);
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Ok(process)
    }

    #[cfg(not(windows))]
    pub(crate) fn new(pid: u32, uid: u32, gid: u32) -> Self {
        Self { pid, uid: UserId::from_kernel(uid), gid: GroupId::from_kernel(gid) }
    }

    /// Windows only: creates the credentials of the process with this ID.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_of_credentials_is_opened_by_its_number() {
        let own = Credentials::current();
        assert_eq!(own.process().unwrap().id().unwrap(), Some(std::process::id()));
        let nobody = Credentials { pid: 0, ..own };
        assert_eq!(nobody.process().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
