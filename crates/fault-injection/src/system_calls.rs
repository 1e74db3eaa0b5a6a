//! The system calls that can be made to fail, and the errors to inject.

use libc::c_long;

/// A system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemCall {
    /// Name in the manual pages.
    pub name: &'static str,
    pub(crate) number: c_long,
    /// Whether the call may block, so that a signal can interrupt it.
    slow: bool,
}

impl SystemCall {
    /// Returns the system call with this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|call| call.name == name)
    }

    /// Returns the errors to inject for this call. `EINTR` is only included for calls that may
    /// block.
    pub fn errors(self) -> impl Iterator<Item = (&'static str, i32)> {
        ERRORS.into_iter().filter(move |(name, _)| match *name {
            "EINTR" => self.slow,
            // Not injected, because they would be false reports: `EAGAIN` from `write` means that
            // the event is already set, and from `accept4` that no client is waiting.
            "EAGAIN" => !["write", "accept4"].contains(&self.name),
            _ => true,
        })
    }
}

/// The errors to inject, by name and number.
pub const ERRORS: [(&str, i32); 10] = [
    ("EMFILE", libc::EMFILE),
    ("ENFILE", libc::ENFILE),
    ("ENOMEM", libc::ENOMEM),
    ("EINTR", libc::EINTR),
    ("EAGAIN", libc::EAGAIN),
    ("EPIPE", libc::EPIPE),
    ("ECONNRESET", libc::ECONNRESET),
    ("ENOBUFS", libc::ENOBUFS),
    ("ETOOMANYREFS", libc::ETOOMANYREFS),
    ("EPERM", libc::EPERM),
];

const fn slow(name: &'static str, number: c_long) -> SystemCall {
    SystemCall { name, number, slow: true }
}

const fn quick(name: &'static str, number: c_long) -> SystemCall {
    SystemCall { name, number, slow: false }
}

/// All system calls of client and server that are made to fail. Excludes calls whose failure makes
/// the standard library abort, because they are for thread memory and locks. Also excludes
/// `timerfd_settime`, which can't fail for an open timer, and `mmap` without a file.
pub const ALL: &[SystemCall] = &[
    quick("socket", libc::SYS_socket),
    quick("socketpair", libc::SYS_socketpair),
    slow("connect", libc::SYS_connect),
    slow("accept4", libc::SYS_accept4),
    quick("bind", libc::SYS_bind),
    quick("listen", libc::SYS_listen),
    slow("sendto", libc::SYS_sendto),
    slow("sendmsg", libc::SYS_sendmsg),
    slow("recvmsg", libc::SYS_recvmsg),
    slow("sendmmsg", libc::SYS_sendmmsg),
    slow("recvmmsg", libc::SYS_recvmmsg),
    quick("shutdown", libc::SYS_shutdown),
    quick("setsockopt", libc::SYS_setsockopt),
    quick("getsockopt", libc::SYS_getsockopt),
    quick("epoll_create1", libc::SYS_epoll_create1),
    quick("epoll_ctl", libc::SYS_epoll_ctl),
    slow("epoll_pwait", libc::SYS_epoll_pwait),
    slow("epoll_pwait2", libc::SYS_epoll_pwait2),
    slow("ppoll", libc::SYS_ppoll),
    quick("eventfd2", libc::SYS_eventfd2),
    quick("timerfd_create", libc::SYS_timerfd_create),
    quick("memfd_create", libc::SYS_memfd_create),
    quick("ftruncate", libc::SYS_ftruncate),
    slow("fallocate", libc::SYS_fallocate),
    quick("fcntl", libc::SYS_fcntl),
    quick("ioctl", libc::SYS_ioctl),
    quick("statx", libc::SYS_statx),
    quick("fstatfs", libc::SYS_fstatfs),
    slow("openat", libc::SYS_openat),
    slow("read", libc::SYS_read),
    slow("pread64", libc::SYS_pread64),
    slow("preadv2", libc::SYS_preadv2),
    slow("write", libc::SYS_write),
    quick("mmap", libc::SYS_mmap),
    quick("mremap", libc::SYS_mremap),
    quick("unlink", libc::SYS_unlinkat),
    quick("pidfd_open", libc::SYS_pidfd_open),
    quick("pidfd_send_signal", libc::SYS_pidfd_send_signal),
    quick("clone3", libc::SYS_clone3),
];
