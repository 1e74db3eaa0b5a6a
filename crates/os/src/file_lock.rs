//! File locks that belong to a process.
//!
//! A lock is a record lock (`F_SETLK`) for writing. A record lock differs from a lock of `flock(2)`
//! in three ways that matter here:
//!
//! - Taking it requires permission to write the file. A process that may only read the file, for
//!   example in a sandbox, can obstruct it with a read lock. The kernel distinguishes read locks
//!   from write locks, so [`FileLock::try_take`] replaces a file on which another process has a
//!   read lock.
//! - It belongs to the process. A forked child doesn't hold it. When the process ends the lock
//!   ends, even if such a child continues to run.
//! - The kernel reports which process holds it.
//!
//! A process loses its locks on a file when it closes any descriptor of that file. So this module
//! keeps a list of the files on which this process holds locks, and doesn't open them again.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, RenameFlags};

use crate::sys::fork::{PerProcess, ProcessMark};
use crate::sys::record_lock::{self, Range};
use crate::{FileStatus, unfinished};

/// A file lock, which ends when the value is dropped or this process ends.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    key: LockKey,
    process: ProcessMark,
}

/// The result of an attempt to take a lock.
#[derive(Debug)]
pub enum LockAttempt {
    /// The lock was taken.
    Taken(FileLock),
    /// Another process, or another thread of this process, holds the lock. Contains the process ID,
    /// or 0 if the process isn't visible in this pid namespace.
    Held(u32),
}

/// The name of a file and the identity of its directory. All paths to the file give the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LockKey {
    folder: (u64, u64),
    name: OsString,
}

/// The files on which this process holds locks. Empty in a forked child, which holds no locks.
static HELD: PerProcess<Mutex<Vec<LockKey>>> = PerProcess::new();

impl FileLock {
    /// Takes the lock on a file, without waiting. Creates the file if it doesn't exist. Only its
    /// owner may write it, and others may ask who holds a lock on it.
    ///
    /// # Errors
    /// Returns the errors of [`open(2)`](https://man7.org/linux/man-pages/man2/open.2.html) and
    /// [`F_SETLK`](https://man7.org/linux/man-pages/man2/F_GETLK.2const.html).
    pub fn try_take(path: &Path) -> io::Result<LockAttempt> {
        Self::try_take_range(path, WHOLE)
    }

    /// Takes a lock that registers this process as one of several holders, which don't exclude each
    /// other.
    ///
    /// # Errors
    /// Returns the errors of [`FileLock::try_take`].
    pub fn try_take_own(path: &Path) -> io::Result<LockAttempt> {
        let own = std::process::id();
        let mut start = i64::from(own);
        for _ in 0..HOLDERS_MAX {
            match Self::try_take_range(path, Range { start, len: 1 })? {
                // The holder is a process of another pid namespace that has the same process ID
                // there. Tries the next range.
                LockAttempt::Held(holder) if holder != own => start += NUMBERS_MAX,
                attempt => return Ok(attempt),
            }
        }
        Ok(LockAttempt::Held(0))
    }

    fn try_take_range(path: &Path, range: Range) -> io::Result<LockAttempt> {
        let key = LockKey::of(path)?;
        let mut held = held()?;
        if held.contains(&key) {
            return Ok(LockAttempt::Held(std::process::id()));
        }
        for _ in 0..ROUNDS_MAX {
            let file = open(path)?;
            match record_lock::lock(file.as_fd(), range) {
                // The lock is ineffective if another process replaced the file before it was taken.
                Ok(()) if is_at(&file, path) => {
                    held.push(key.clone());
                    return Ok(LockAttempt::Taken(Self {
                        file,
                        key,
                        process: ProcessMark::current(),
                    }));
                }
                Ok(()) => {}
                Err(error) if is_held(&error) => {
                    if let Some(holder) = record_lock::writer(file.as_fd(), range)? {
                        return Ok(LockAttempt::Held(holder.pid));
                    }
                    if record_lock::any_holder(file.as_fd(), range)?.is_some() {
                        replace(path, &file)?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // Other processes kept replacing or locking the file.
        Ok(LockAttempt::Held(0))
    }

    /// Returns the process IDs of the holders of a lock on the file that are visible in this pid
    /// namespace.
    ///
    /// The owner of the folder may be another user, who must not be able to name a lock file of a
    /// third user's process. So a link, or a file with several names, is refused.
    ///
    /// # Errors
    /// Fails if the file can't be read; `NotFound` if it doesn't exist; `InvalidInput` if it isn't
    /// a regular file with one name.
    pub fn holders(path: &Path) -> io::Result<Vec<u32>> {
        let mut holders = Vec::new();
        let held = held()?;
        if held.contains(&LockKey::of(path)?) {
            // The kernel doesn't report this process's own locks, and closing the file would
            // release them.
            return Ok(vec![std::process::id()]);
        }
        // Opening a pipe without `O_NONBLOCK` would wait for a writer.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.nlink() != 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a lock file"));
        }
        let mut rest = WHOLE;
        for _ in 0..HOLDERS_MAX {
            let Some(holder) = record_lock::writer(file.as_fd(), rest)? else { break };
            holders.push(holder.pid);
            match holder.range.start.checked_add(holder.range.len) {
                Some(end) if holder.range.len > 0 && end > rest.start => rest.start = end,
                _ => break,
            }
        }
        Ok(holders)
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // A forked child doesn't hold the lock.
        if !self.process.is_current() {
            return;
        }
        let Ok(mut held) = held() else { return };
        // If unlocking fails, the kernel releases the lock when this process ends.
        let _ = record_lock::unlock(self.file.as_fd(), WHOLE);
        held.retain(|key| *key != self.key);
    }
}

impl LockKey {
    fn of(path: &Path) -> io::Result<Self> {
        let folder = path.parent().unwrap_or("/".as_ref());
        let name = path.file_name().unwrap_or_default().to_owned();
        Ok(Self { folder: FileStatus::at(folder)?.id, name })
    }
}

fn held() -> io::Result<MutexGuard<'static, Vec<LockKey>>> {
    let held = HELD.get().ok_or_else(|| io::Error::other("this process can't tell its forks"))?;
    Ok(held.lock().unwrap_or_else(PoisonError::into_inner))
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true).mode(0o644);
    options.open(path)
}

/// Returns whether the error means that a conflicting lock exists.
fn is_held(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES))
}

fn is_at(file: &File, path: &Path) -> bool {
    let ids = (FileStatus::of(file), FileStatus::at(path));
    matches!(ids, (Ok(file), Ok(path)) if file.id == path.id)
}

/// Replaces a file on which a process that may only read it holds a read lock. While that lock
/// exists, no process can take a write lock on the file.
///
/// Exchanges the old file and a new one atomically, and checks which file was replaced. If another
/// process has replaced the file first, exchanges the two again.
fn replace(path: &Path, obstructed: &File) -> io::Result<()> {
    let new = unfinished(path);
    let exchange = || {
        rustix::fs::renameat_with(CWD, &new, CWD, path, RenameFlags::EXCHANGE)
            .map_err(io::Error::from)
    };
    drop(open(&new)?);
    let result = match is_at(obstructed, path) {
        false => Ok(()),
        true => exchange().and_then(|()| match is_at(obstructed, &new) {
            true => Ok(()),
            false => exchange(),
        }),
    };
    let _ = fs::remove_file(&new);
    result
}

/// The range that covers all bytes of a file.
const WHOLE: Range = Range { start: 0, len: 0 };

/// Number of attempts before the lock counts as held, because other processes keep replacing or
/// locking the file.
const ROUNDS_MAX: usize = 8;

/// Upper bound of process IDs (`PID_MAX_LIMIT`).
const NUMBERS_MAX: i64 = 1 << 22;

/// Maximum number of processes that can hold a lock of [`FileLock::try_take_own`] on one file.
const HOLDERS_MAX: usize = 64;
