//! Socket options for which rustix has no function.
#![expect(unsafe_code, reason = "getsockopt and setsockopt take raw memory")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::check;

/// From `asm-generic/socket.h` (Linux 6.5).
const SO_PEERPIDFD: libc::c_int = 77;
/// From `asm-generic/socket.h` (Linux 6.5). Attaches a pidfd of the sender to each received
/// message.
pub(crate) const SO_PASSPIDFD: libc::c_int = 76;
/// From `asm-generic/socket.h` (Linux 6.16). Makes the socket accept descriptors. While the option
/// is off, sending descriptors to the socket fails with `EPERM`.
pub(crate) const SO_PASSRIGHTS: libc::c_int = 83;

/// The options that make the kernel add control messages to received messages.
pub(crate) const CONTROL_OPTIONS: [libc::c_int; 6] = [
    libc::SO_PASSCRED,
    libc::SO_PASSSEC,
    SO_PASSPIDFD,
    libc::SO_TIMESTAMP,
    libc::SO_TIMESTAMPNS,
    libc::SO_RXQ_OVFL,
];

/// Returns the credentials of the process that created the other end, or that called `listen` on
/// it.
///
/// The pid is 0 if the process isn't visible in this pid namespace.
pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<libc::ucred> {
    let mut credentials = libc::ucred { pid: 0, uid: libc::uid_t::MAX, gid: libc::gid_t::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, which is the size of a `ucred`.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &mut len,
        )
    })?;
    Ok(credentials)
}

/// Returns a pidfd of the process that created the other end.
pub(crate) fn peer_pidfd(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut raw: libc::c_int = -1;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, which is the size of an int.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut raw).cast(),
            &mut len,
        )
    })?;
    // SAFETY: on success, the kernel has opened this close-on-exec descriptor for this process, and
    // no other value owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Enables or disables a boolean option of level `SOL_SOCKET`.
pub(crate) fn set(socket: BorrowedFd<'_>, option: libc::c_int, on: bool) -> io::Result<()> {
    let value = libc::c_int::from(on);
    // SAFETY: the kernel reads the passed int.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })?;
    Ok(())
}
