//! Asks the kernel for the type and the rights of a handle's object.
//!
//! Queries that no peer can delay come first. On Linux, the kernel answers `F_GETFL` and `statx`
//! with `AT_STATX_DONT_SYNC` by itself. A file is only queried further if the policy trusts its
//! file system. On Windows, the kernel's name of the object type comes first, and only a `File` is
//! queried further.

use std::io;

#[cfg(not(windows))]
use crate::Filesystems;
use crate::{BorrowedHandle, Facts, sys};

/// Asks the kernel which object a handle refers to and which rights it carries. Never blocks: on
/// Linux, files on file systems that aren't local are reported as `Object::Unjudged`.
///
/// # Errors
/// On Linux, returns the errors of [`statx(2)`](https://man7.org/linux/man-pages/man2/statx.2.html)
/// and [`fcntl(2)`](https://man7.org/linux/man-pages/man2/fcntl.2.html). For objects that only
/// `/proc/self` identifies, also returns the errors of reading it, for example `Unsupported` if
/// `/proc` isn't mounted. On Windows, returns the errors of `NtQueryObject`.
pub fn identify(handle: BorrowedHandle<'_>) -> io::Result<Facts> {
    sys::identify::identify(handle)
}

/// Linux only: identifies a handle like [`identify`], with another policy on trusted file systems.
///
/// # Errors
/// Returns the errors of [`identify`].
#[cfg(not(windows))]
pub fn identify_with(handle: BorrowedHandle<'_>, filesystems: &Filesystems) -> io::Result<Facts> {
    sys::identify::identify_with(handle, filesystems)
}
