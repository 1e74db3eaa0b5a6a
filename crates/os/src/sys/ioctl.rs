//! Questions to namespaces, pidfds and sockets that only `ioctl` can ask.
//!
//! Each is asked only of a descriptor that is known to be of the right sort: to another one the
//! same number may be a command.
#![expect(unsafe_code, reason = "the argument of an ioctl is raw memory")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::check;

/// The `CLONE_NEW…` flag of a namespace.
pub(crate) fn namespace_type(namespace: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    // SAFETY: NS_GET_NSTYPE takes no argument.
    check(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_NSTYPE) })
}

/// The user who made a user namespace.
pub(crate) fn namespace_owner(namespace: BorrowedFd<'_>) -> io::Result<libc::uid_t> {
    let mut uid: libc::uid_t = 0;
    // SAFETY: NS_GET_OWNER_UID writes a uid_t.
    check(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_OWNER_UID, &raw mut uid) })?;
    Ok(uid)
}

/// The user namespace of a process (Linux 6.11).
pub(crate) fn user_namespace(pidfd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: PIDFD_GET_USER_NAMESPACE takes no argument.
    let raw = check(unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_USER_NAMESPACE, 0) })?;
    // SAFETY: on success the kernel has opened this descriptor for us, close-on-exec; nobody
    // else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// `struct pidfd_info` of `linux/pidfd.h`, its first version.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProcessInfo {
    /// What was asked for, then what was answered.
    mask: u64,
    control_group: u64,
    /// The thread's number in our pid namespace.
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
    /// As `wait` would tell it; only if it was answered.
    exit_code: i32,
}

impl ProcessInfo {
    /// How it ended, in the form that `wait` tells it, if it has and the kernel kept that.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        (self.mask & PIDFD_INFO_EXIT != 0).then_some(self.exit_code)
    }

    /// Whether the users and groups are known: not any more when the process is gone.
    pub(crate) fn has_credentials(&self) -> bool {
        self.mask & PIDFD_INFO_CREDS != 0
    }
}

/// What the kernel knows of a process (Linux 6.13; how it ended: 6.15). `ESRCH` when it is gone
/// and nothing is known any more, `ENOTTY` on an older kernel.
pub(crate) fn process_info(pidfd: BorrowedFd<'_>) -> io::Result<ProcessInfo> {
    let mut info = ProcessInfo {
        mask: PIDFD_INFO_PID | PIDFD_INFO_CREDS | PIDFD_INFO_EXIT,
        ..ProcessInfo::default()
    };
    // SAFETY: PIDFD_GET_INFO reads and writes a ProcessInfo, whose size is part of its number.
    check(unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) })?;
    Ok(info)
}

/// Begins or ends the use of a dma-buf's memory by the processor.
pub(crate) fn sync_buffer(buffer: BorrowedFd<'_>, flags: u64) -> io::Result<()> {
    // SAFETY: DMA_BUF_IOCTL_SYNC reads a u64.
    check(unsafe { libc::ioctl(buffer.as_raw_fd(), DMA_BUF_IOCTL_SYNC, &raw const flags) })?;
    Ok(())
}

/// The memory of sent messages that wait in the queue of the other end of a UNIX socket.
pub(crate) fn unsent_bytes(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ writes an int.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), SIOCOUTQ, &raw mut bytes) })?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// From linux/sockios.h: the number of `TIOCOUTQ`.
const SIOCOUTQ: libc::Ioctl = libc::TIOCOUTQ;

// From linux/nsfs.h.
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
const NS_GET_OWNER_UID: libc::Ioctl = 0xb704;

// From linux/pidfd.h.
const PIDFD_GET_USER_NAMESPACE: libc::Ioctl = 0xff09;
/// `_IOWR(0xff, 11, struct pidfd_info)`
const PIDFD_GET_INFO: libc::Ioctl = libc::_IOWR::<ProcessInfo>(0xff, 11);
const PIDFD_INFO_PID: u64 = 1 << 0;
const PIDFD_INFO_CREDS: u64 = 1 << 1;
const PIDFD_INFO_EXIT: u64 = 1 << 3;

// From linux/dma-buf.h.
/// `_IOW('b', 0, struct dma_buf_sync)`
const DMA_BUF_IOCTL_SYNC: libc::Ioctl = libc::_IOW::<u64>(b'b' as u32, 0);
