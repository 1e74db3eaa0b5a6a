//! Queries about namespaces, pidfds and sockets that require `ioctl`.
//!
//! Each query is only made on a descriptor of a known type, because the same request number may be
//! a command for other types.
#![expect(unsafe_code, reason = "the argument of an ioctl is raw memory")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::check;

/// Returns the `CLONE_NEW…` flag of a namespace.
pub(crate) fn namespace_type(namespace: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    // SAFETY: NS_GET_NSTYPE takes no argument.
    check(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_NSTYPE) })
}

/// Returns the user ID of the creator of a user namespace.
pub(crate) fn namespace_owner(namespace: BorrowedFd<'_>) -> io::Result<libc::uid_t> {
    let mut uid: libc::uid_t = 0;
    // SAFETY: NS_GET_OWNER_UID writes a uid_t.
    check(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_OWNER_UID, &raw mut uid) })?;
    Ok(uid)
}

/// Returns the user namespace of a process (Linux 6.11).
pub(crate) fn user_namespace(pidfd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: PIDFD_GET_USER_NAMESPACE takes no argument.
    let raw = check(unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_USER_NAMESPACE, 0) })?;
    // SAFETY: on success, the kernel has opened this close-on-exec descriptor for this process, and
    // no other value owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// The first version of `struct pidfd_info` of `linux/pidfd.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProcessInfo {
    /// The mask of requested fields. The kernel replaces it with the mask of filled fields.
    mask: u64,
    control_group: u64,
    /// The process ID in this pid namespace.
    pub(crate) pid: u32,
    pub(crate) tgid: u32,
    ppid: u32,
    ruid: u32,
    rgid: u32,
    pub(crate) euid: u32,
    pub(crate) egid: u32,
    suid: u32,
    sgid: u32,
    fsuid: u32,
    fsgid: u32,
    /// The exit status as returned by `wait`. Valid only if the mask says so.
    exit_code: i32,
}

impl ProcessInfo {
    /// Returns the exit status as returned by `wait`. Returns `None` if the process has not ended,
    /// or if the kernel has not kept the status.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        (self.mask & PIDFD_INFO_EXIT != 0).then_some(self.exit_code)
    }

    /// Returns whether the user and group IDs are valid. The kernel no longer has them once the
    /// process has been reaped.
    pub(crate) fn has_credentials(&self) -> bool {
        self.mask & PIDFD_INFO_CREDS != 0
    }
}

/// Queries information about a process (Linux 6.13; with the exit status: 6.15). Fails with `ESRCH`
/// if the process no longer exists and no information is left, and with `ENOTTY` on an older
/// kernel.
pub(crate) fn process_info(pidfd: BorrowedFd<'_>) -> io::Result<ProcessInfo> {
    let mut info = ProcessInfo {
        mask: PIDFD_INFO_PID | PIDFD_INFO_CREDS | PIDFD_INFO_EXIT,
        ..ProcessInfo::default()
    };
    // SAFETY: PIDFD_GET_INFO reads and writes a `ProcessInfo`, whose size is encoded in the request
    // number.
    check(unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) })?;
    Ok(info)
}

/// Begins or ends the processor's access to the memory of a dma-buf.
pub(crate) fn sync_buffer(buffer: BorrowedFd<'_>, flags: u64) -> io::Result<()> {
    // SAFETY: DMA_BUF_IOCTL_SYNC reads a u64.
    check(unsafe { libc::ioctl(buffer.as_raw_fd(), DMA_BUF_IOCTL_SYNC, &raw const flags) })?;
    Ok(())
}

/// Returns the memory used by messages that were sent on a UNIX socket and not yet received.
pub(crate) fn unsent_bytes(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ writes an int.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), SIOCOUTQ, &raw mut bytes) })?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// From `linux/sockios.h`: the same request number as `TIOCOUTQ`.
const SIOCOUTQ: libc::Ioctl = libc::TIOCOUTQ;

// From `linux/nsfs.h`.
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
const NS_GET_OWNER_UID: libc::Ioctl = 0xb704;

// From `linux/pidfd.h`.
const PIDFD_GET_USER_NAMESPACE: libc::Ioctl = 0xff09;
/// `_IOWR(0xff, 11, struct pidfd_info)`
const PIDFD_GET_INFO: libc::Ioctl = libc::_IOWR::<ProcessInfo>(0xff, 11);
const PIDFD_INFO_PID: u64 = 1 << 0;
const PIDFD_INFO_CREDS: u64 = 1 << 1;
const PIDFD_INFO_EXIT: u64 = 1 << 3;

// From `linux/dma-buf.h`.
/// `_IOW('b', 0, struct dma_buf_sync)`
const DMA_BUF_IOCTL_SYNC: libc::Ioctl = libc::_IOW::<u64>(b'b' as u32, 0);
