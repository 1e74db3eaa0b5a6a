//! What the kernel knows of a process, by its pidfd.
#![expect(unsafe_code, reason = "an ioctl that rustix has no function for")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::check;

/// `struct pidfd_info` of `linux/pidfd.h`, in its first published size.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup_id: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// Asks for the exit code (Linux 6.15).
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// `_IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)`.
const PIDFD_GET_INFO: libc::c_ulong =
    3 << 30 | (size_of::<PidfdInfo>() as libc::c_ulong) << 16 | 0xff << 8 | 11;

/// How a process that has ended and was waited for did so.
pub(crate) fn exit_status(process: BorrowedFd<'_>) -> io::Result<ExitStatus> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the kernel reads and writes a pidfd_info of the size that the request names.
    check(unsafe { libc::ioctl(process.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) })?;
    match info.mask & PIDFD_INFO_EXIT {
        0 => Err(io::ErrorKind::Unsupported.into()),
        _ => Ok(ExitStatus::from_raw(info.exit_code)),
    }
}
