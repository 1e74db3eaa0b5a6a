//! Record locks of this process: [`F_SETLK` and
//! `F_GETLK`](https://man7.org/linux/man-pages/man2/F_GETLK.2const.html).
#![expect(unsafe_code, reason = "fcntl takes a struct by its address")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;

/// A range of bytes. A length of zero means that the range extends to the end of the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) start: i64,
    pub(crate) len: i64,
}

/// Another process that holds a conflicting lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    pub(crate) range: Range,
    /// The process ID; 0 if the process isn't visible in this pid namespace.
    pub(crate) pid: u32,
}

/// Takes a write lock without waiting. The descriptor must be writable.
pub(crate) fn lock(file: BorrowedFd<'_>, range: Range) -> io::Result<()> {
    set(file, libc::F_WRLCK, range)
}

/// Releases the locks of this process in the range.
pub(crate) fn unlock(file: BorrowedFd<'_>, range: Range) -> io::Result<()> {
    set(file, libc::F_UNLCK, range)
}

fn set(file: BorrowedFd<'_>, kind: libc::c_int, range: Range) -> io::Result<()> {
    let mut lock = flock(kind, range);
    // SAFETY: `F_SETLK` reads a `struct flock`, which is passed.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw mut lock) }).map(drop)
}

/// Returns a write lock of another process in the range. Ignores read locks.
pub(crate) fn writer(file: BorrowedFd<'_>, range: Range) -> io::Result<Option<Holder>> {
    holder(file, libc::F_RDLCK, range)
}

/// Returns any lock of another process in the range.
pub(crate) fn any_holder(file: BorrowedFd<'_>, range: Range) -> io::Result<Option<Holder>> {
    holder(file, libc::F_WRLCK, range)
}

/// Returns a lock of another process that conflicts with a lock of the type `kind`.
fn holder(file: BorrowedFd<'_>, kind: libc::c_int, range: Range) -> io::Result<Option<Holder>> {
    let mut lock = flock(kind, range);
    // SAFETY: `F_GETLK` reads and writes a `struct flock`, which is passed.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut lock) })?;
    if libc::c_int::from(lock.l_type) == libc::F_UNLCK {
        return Ok(None);
    }
    let range = Range { start: lock.l_start, len: lock.l_len };
    Ok(Some(Holder { range, pid: u32::try_from(lock.l_pid).unwrap_or(0) }))
}

fn flock(kind: libc::c_int, range: Range) -> libc::flock {
    // SAFETY: the struct consists of integers, for which zero is valid.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as _;
    lock.l_whence = libc::SEEK_SET as _;
    lock.l_start = range.start;
    lock.l_len = range.len;
    lock
}
