//! Who is at the other end, from the kernel.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::PidfdFlags;

use crate::process::pidfd_open;
use crate::sys::{auxv, option};
use crate::system_call::{failed, raw_os_error};
use crate::{GroupId, UserId};

/// A process with its user and group, as the kernel names them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Credentials {
    /// The process, in our pid namespace; 0 where it isn't visible there.
    ///
    /// A number to show, not to act on: it may mean another process by the time it is used.
    pub pid: u32,
    /// Its effective user.
    pub uid: UserId,
    /// Its effective group.
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

/// A connected socket that can say who made its other end.
pub trait Peer: AsFd {
    /// The process that connected, or that called `listen`, or that made the pair.
    ///
    /// # Errors
    /// Those of `SO_PEERCRED` in [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
    fn peer(&self) -> io::Result<Credentials> {
        let peer = option::peer_credentials(self.as_fd());
        peer.map(Into::into).map_err(failed("getsockopt(SO_PEERCRED)"))
    }

    /// The same process as a handle that can't come to mean another one (Linux 6.5).
    ///
    /// # Errors
    /// Those of `SO_PEERPIDFD`: `ENOPROTOOPT` on an older kernel, `ESRCH` when the process is gone.
    fn peer_process(&self) -> io::Result<OwnedFd> {
        option::peer_pidfd(self.as_fd()).map_err(failed("getsockopt(SO_PEERPIDFD)"))
    }

    /// Whether the process that made the other end has ended. A child that it forked may keep the
    /// other end open after that, so the socket itself doesn't tell.
    ///
    /// `false` where the kernel doesn't say, and where that process is this one.
    fn peer_has_ended(&self) -> bool {
        let Ok(peer) = self.peer() else { return false };
        if peer.pid == std::process::id() {
            return false;
        }
        let process = match self.peer_process() {
            // Before Linux 6.5. Another process with the same number counts as the peer.
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

/// Whether a process has ended, by its pidfd.
pub fn has_ended(process: BorrowedFd<'_>) -> bool {
    let mut polls = [PollFd::from_borrowed_fd(process, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut polls, Some(&now)).is_ok_and(|count| count > 0)
}

/// Whether this process has more rights than the process that started it: by set-user-ID, by
/// set-group-ID, by file capabilities, or by a security module
/// (`AT_SECURE` in [getauxval(3)](https://man7.org/linux/man-pages/man3/getauxval.3.html)). Its
/// environment and files that its caller may write then are not to be trusted.
pub fn is_elevated() -> bool {
    auxv::is_secure()
        || rustix::process::getuid() != rustix::process::geteuid()
        || rustix::process::getgid() != rustix::process::getegid()
}
