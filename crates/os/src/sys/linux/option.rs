//! Socket options that rustix has no function for.
#![expect(unsafe_code, reason = "getsockopt and setsockopt take raw memory")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::check;

/// From `asm-generic/socket.h`, Linux 6.5.
const SO_PEERPIDFD: libc::c_int = 77;
/// From `asm-generic/socket.h`, Linux 6.5. Each received message has a pidfd of its sender.
pub(crate) const SO_PASSPIDFD: libc::c_int = 76;
/// From `asm-generic/socket.h`, Linux 6.16. The socket accepts descriptors. While the option is
/// off, a sender of descriptors gets `EPERM`.
pub(crate) const SO_PASSRIGHTS: libc::c_int = 83;

/// The options that add control messages to received messages.
pub(crate) const CONTROL_OPTIONS: [libc::c_int; 6] = [
    libc::SO_PASSCRED,
    libc::SO_PASSSEC,
    SO_PASSPIDFD,
    libc::SO_TIMESTAMP,
    libc::SO_TIMESTAMPNS,
    libc::SO_RXQ_OVFL,
];

/// Returns the credentials of the process that made the other end, or that called `listen` on it.
///
/// A process that isn't visible in this pid namespace has pid 0.
pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<libc::ucred> {
    let mut credentials = libc::ucred { pid: 0, uid: libc::uid_t::MAX, gid: libc::gid_t::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, which is the size of a ucred.
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

/// Returns a pidfd of the process that made the other end.
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
    // SAFETY: on success the kernel has opened this descriptor for this process, close-on-exec, and
    // no other value owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Switches an option of the level `SOL_SOCKET` on or off.
pub(crate) fn set(socket: BorrowedFd<'_>, option: libc::c_int, on: bool) -> io::Result<()> {
    let value = libc::c_int::from(on);
    // SAFETY: the kernel reads an int, which is passed.
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
