//! Asks the kernel what a handle refers to.
//!
//! Queries that no peer can delay come first. On Linux, the kernel alone answers `F_GETFL` and `statx`
//! with `AT_STATX_DONT_SYNC`, and a file of a mounted file system is queried further only if the
//! policy on file systems trusts it. On Windows, the kernel's name for the type of the object comes
//! first, and only a `File` is queried further.

use std::io;

#[cfg(not(windows))]
use crate::Filesystems;
use crate::{BorrowedHandle, Facts, sys};

/// Asks the kernel what a handle refers to and what may be done with it. Never blocks: on Linux,
/// files on file systems that aren't local are `Object::Unjudged`.
///
/// # Errors
/// On Linux: the errors of [`statx(2)`](https://man7.org/linux/man-pages/man2/statx.2.html) and
/// [`fcntl(2)`](https://man7.org/linux/man-pages/man2/fcntl.2.html), and the errors of reading
/// `/proc/self` if only that identifies the object: `Unsupported` without `/proc`. On Windows: the
/// errors of `NtQueryObject`.
pub fn identify(handle: BorrowedHandle<'_>) -> io::Result<Facts> {
    sys::identify::identify(handle)
}

/// Linux only: identifies a handle like [`identify`], with another policy on which file systems may
/// be asked.
///
/// # Errors
/// Returns the errors of [`identify`].
#[cfg(not(windows))]
pub fn identify_with(handle: BorrowedHandle<'_>, filesystems: &Filesystems) -> io::Result<Facts> {
    sys::identify::identify_with(handle, filesystems)
}
