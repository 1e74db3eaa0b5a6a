//! The identity of the process at the other end of a socket, as the kernel reports it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::PidfdFlags;

use crate::Credentials;
use crate::sys::process::pidfd_open;
use crate::sys::{option, this_process};
use crate::system_call::{failed, raw_os_error};

/// A connected socket that can identify its peer process.
pub trait Peer: AsFd {
    /// Returns the credentials of the process that connected, that called `listen`, or that created
    /// the socket pair.
    ///
    /// # Errors
    /// Returns the errors of `SO_PEERCRED` in
    /// [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
    fn peer(&self) -> io::Result<Credentials> {
        let peer = option::peer_credentials(self.as_fd());
        peer.map(Credentials::from_kernel).map_err(failed("getsockopt(SO_PEERCRED)"))
    }

    /// Returns a pidfd, which identifies the peer even if its process ID is reused (Linux 6.5).
    ///
    /// # Errors
    /// Returns the errors of `SO_PEERPIDFD`: `ENOPROTOOPT` on an older kernel, `ESRCH` if the
    /// process no longer exists.
    fn peer_process(&self) -> io::Result<OwnedFd> {
        option::peer_pidfd(self.as_fd()).map_err(failed("getsockopt(SO_PEERPIDFD)"))
    }

    /// Returns whether the process that created the other end has ended. The state of the socket
    /// doesn't show this, because a forked child may keep the other end open.
    ///
    /// Returns `false` if the kernel can't tell, or if that process is this one.
    fn peer_has_ended(&self) -> bool {
        let Ok(peer) = self.peer() else { return false };
        if peer.pid == std::process::id() {
            return false;
        }
        let process = match self.peer_process() {
            // Before Linux 6.5, there is only the process ID, so a new process with the same ID
            // counts as the peer.
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

/// Returns whether the process of a pidfd has ended.
pub fn has_ended(process: BorrowedFd<'_>) -> bool {
    let mut polls = [PollFd::from_borrowed_fd(process, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut polls, Some(&now)).is_ok_and(|count| count > 0)
}

/// Returns whether this program runs with more privileges than its caller: by set-user-ID,
/// set-group-ID, file capabilities, or a security module (`AT_SECURE` in
/// [getauxval(3)](https://man7.org/linux/man-pages/man3/getauxval.3.html)). Such a program can't
/// trust its environment, nor files that its caller may write.
pub fn is_elevated() -> bool {
    this_process::is_secure()
        || rustix::process::getuid() != rustix::process::geteuid()
        || rustix::process::getgid() != rustix::process::getegid()
}
