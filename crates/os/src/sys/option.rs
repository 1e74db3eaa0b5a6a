//! Socket options that rustix has no function for.
#![expect(unsafe_code, reason = "getsockopt and setsockopt take raw memory")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::check;

/// From `asm-generic/socket.h`, Linux 6.5.
const SO_PEERPIDFD: libc::c_int = 77;
/// From `asm-generic/socket.h`, Linux 6.16.
const SO_PASSRIGHTS: libc::c_int = 83;

/// The credentials of the process that made the other end, or that called `listen` on it.
///
/// A process that isn't visible in our pid namespace has pid 0.
pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<libc::ucred> {
    let mut credentials = libc::ucred { pid: 0, uid: libc::uid_t::MAX, gid: libc::gid_t::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, a ucred at most.
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

/// A pidfd of that process.
pub(crate) fn peer_pidfd(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut raw: libc::c_int = -1;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, an int at most.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut raw).cast(),
            &mut len,
        )
    })?;
    // SAFETY: on success the kernel has opened this descriptor for us, close-on-exec; nobody
    // else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Lets descriptors through to this socket, or refuses them: then their sender gets `EPERM`.
pub(crate) fn set_pass_rights(socket: BorrowedFd<'_>, pass: bool) -> io::Result<()> {
    let value = libc::c_int::from(pass);
    // SAFETY: the kernel reads an int, which is what is passed.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PASSRIGHTS,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })?;
    Ok(())
}
