//! A tag on an open file description, by which its descriptors are recognized later.
//!
//! The tag is the signal number for `O_ASYNC` (`F_SETSIG`), which this crate does not use
//! otherwise. The kernel stores it in the open file description, so exactly the descriptors of that
//! description have the tag.
#![expect(unsafe_code, reason = "fcntl commands that neither libc nor rustix defines")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;

/// Sets the tag on the open file description.
pub(crate) fn set(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the command takes an integer and accesses no memory.
    check(unsafe { libc::fcntl(file.as_raw_fd(), F_SETSIG, TAG) }).map(drop)
}

/// Returns whether the descriptor is open and has the tag.
#[inline]
pub(crate) fn is_set(file: BorrowedFd<'_>) -> bool {
    // SAFETY: the command takes no argument, and fails if the descriptor isn't open.
    unsafe { libc::fcntl(file.as_raw_fd(), F_GETSIG) == TAG }
}

/// From `asm-generic/fcntl.h`. The value is the same on all architectures except PA-RISC.
const F_SETSIG: libc::c_int = 10;
const F_GETSIG: libc::c_int = 11;

/// The second highest real-time signal.
const TAG: libc::c_int = 63;
