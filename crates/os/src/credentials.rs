//! The identity of the process at the other end of a connection.

use std::io;

use crate::Process;
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
    /// Returns the credentials of this process. A test changes their fields to simulate another
    /// process.
    pub fn current() -> Self {
        #[cfg(windows)]
        return Self::of_process(std::process::id());
        #[cfg(not(windows))]
        Self { pid: std::process::id(), uid: UserId::current(), gid: GroupId::current() }
    }

    /// Opens the process with the number [`pid`](Self::pid). The caller owns the handle. On Linux it
    /// is a pidfd, which requires Linux 5.3.
    ///
    /// If the process has ended, the number may belong to another process by now. On Linux 6.13 or
    /// later, a process of another user is detected. A method that needs certainty calls
    /// `Context::client_process`, which gets the handle from the connection.
    ///
    /// # Errors
    /// `NotFound` if no process has this number, if the number is 0, or if the process has another
    /// user; the other errors of [`Process::open`].
    pub fn process(&self) -> io::Result<Process> {
        let process = Process::open(self.pid)?;
        #[cfg(not(windows))]
        if let Ok(opened) = process.credentials()
            && opened.uid.shown() != self.uid.shown()
        {
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
