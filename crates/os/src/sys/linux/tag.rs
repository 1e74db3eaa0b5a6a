//! A tag on an open file, by which its descriptor is recognized later.
//!
//! The tag is the number of the signal for `O_ASYNC` (`F_SETSIG`), which this crate does not use
//! otherwise. The kernel keeps it with the open file, so exactly the descriptors of that open file
//! have it.
#![expect(unsafe_code, reason = "commands of fcntl that neither libc nor rustix has")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;

/// Tags the open file.
pub(crate) fn set(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the command takes a number and reads no memory.
    check(unsafe { libc::fcntl(file.as_raw_fd(), F_SETSIG, TAG) }).map(drop)
}

/// Returns whether the descriptor is open and its open file has the tag.
#[inline]
pub(crate) fn is_set(file: BorrowedFd<'_>) -> bool {
    // SAFETY: the command takes no argument. It fails if the number isn't open.
    unsafe { libc::fcntl(file.as_raw_fd(), F_GETSIG) == TAG }
}

/// From `asm-generic/fcntl.h`, which all architectures except PA-RISC use.
const F_SETSIG: libc::c_int = 10;
const F_GETSIG: libc::c_int = 11;

/// The second highest real-time signal.
const TAG: libc::c_int = 63;
