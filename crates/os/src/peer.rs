//! The identity of the process at the other end of a socket, from the kernel.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::PidfdFlags;

use crate::process::pidfd_open;
use crate::sys::{auxv, option};
use crate::system_call::{failed, raw_os_error};
use crate::{GroupId, UserId};

/// A process with its user and group, as reported by the kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Credentials {
    /// The number of the process in this pid namespace; 0 if it isn't visible there.
    ///
    /// The number is for display only. It may refer to another process by the time it is used.
    pub pid: u32,
    /// The effective user of the process.
    pub uid: UserId,
    /// The effective group of the process.
    pub gid: GroupId,
}

impl Credentials {
    pub(crate) fn new(pid: u32, uid: u32, gid: u32) -> Self {
        Self { pid, uid: UserId::from_kernel(uid), gid: GroupId::from_kernel(gid) }
    }
}

impl From<libc::ucred> for Credentials {
    fn from(raw: libc::ucred) -> Self {
        Self::new(raw.pid.unsigned_abs(), raw.uid, raw.gid)
    }
}

/// A connected socket that can identify the process at its other end.
pub trait Peer: AsFd {
    /// Returns the process that connected, that called `listen`, or that made the pair.
    ///
    /// # Errors
    /// Returns the errors of `SO_PEERCRED` in
    /// [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
    fn peer(&self) -> io::Result<Credentials> {
        let peer = option::peer_credentials(self.as_fd());
        peer.map(Into::into).map_err(failed("getsockopt(SO_PEERCRED)"))
    }

    /// Returns the peer process as a pidfd, which can't come to refer to another process (Linux
    /// 6.5).
    ///
    /// # Errors
    /// Returns the errors of `SO_PEERPIDFD`; `ENOPROTOOPT` on an older kernel, `ESRCH` if the
    /// process no longer exists.
    fn peer_process(&self) -> io::Result<OwnedFd> {
        option::peer_pidfd(self.as_fd()).map_err(failed("getsockopt(SO_PEERPIDFD)"))
    }

    /// Returns whether the process that made the other end has ended. A child that it forked may
    /// keep the other end open after that, so the state of the socket doesn't tell.
    ///
    /// Returns `false` if the kernel can't tell, and if that process is this one.
    fn peer_has_ended(&self) -> bool {
        let Ok(peer) = self.peer() else { return false };
        if peer.pid == std::process::id() {
            return false;
        }
        let process = match self.peer_process() {
            // Before Linux 6.5, another process with the same number counts as the peer.
            Err(error) if raw_os_error(&error) == Some(libc::ENOPROTOOPT) && peer.pid != 0 => {
                pidfd_open(peer.pid, PidfdFlags::empty(), "process")
            }
            process => process,
        };
        match process {
            Ok(process) => has_ended(process.as_fd()),
            Err(error) => {
                matches!(raw_os_error(&error), Some(libc::ESRCH | libc::EINVAL))
                    || error.kind() == io::ErrorKind::NotFound
            }
        }
    }
}

/// Returns whether a process has ended, by its pidfd.
pub fn has_ended(process: BorrowedFd<'_>) -> bool {
    let mut polls = [PollFd::from_borrowed_fd(process, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut polls, Some(&now)).is_ok_and(|count| count > 0)
}

/// Returns whether this process has more rights than the process that started it: by set-user-ID,
/// set-group-ID, file capabilities, or a security module (`AT_SECURE` in
/// [getauxval(3)](https://man7.org/linux/man-pages/man3/getauxval.3.html)). Such a process can't
/// trust its environment, nor files that its caller may write.
pub fn is_elevated() -> bool {
    auxv::is_secure()
        || rustix::process::getuid() != rustix::process::geteuid()
        || rustix::process::getgid() != rustix::process::getegid()
}
