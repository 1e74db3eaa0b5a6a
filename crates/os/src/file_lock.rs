//! File locks that belong to a process.
//!
//! A lock is a record lock (`F_SETLK`) for writing. Unlike a lock of `flock(2)`, a record lock has
//! three properties that matter here:
//!
//! - Taking it requires permission to write the file. A process that may only read the file, for
//!   example in a sandbox, can take a read lock, which conflicts too. But the kernel tells read
//!   locks from write locks, and a file with a foreign read lock is replaced.
//! - It belongs to the process. A forked child doesn't hold it, and it ends with the process even
//!   if such a child continues to run.
//! - The kernel reports its holder.
//!
//! A process loses its locks on a file when it closes any descriptor of that file. So this module
//! keeps a list of the files that this process holds locks on, and opens none of them again.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, RenameFlags};

use crate::sys::fork::{PerProcess, ProcessMark};
use crate::sys::record_lock::{self, Range};
use crate::{FileStatus, unfinished};

/// A lock, held until it is dropped or this process ends.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    key: LockKey,
    process: ProcessMark,
}

/// The result of trying to take a lock.
#[derive(Debug)]
pub enum LockAttempt {
    /// The lock was taken.
    Taken(FileLock),
    /// Another process, or another thread of this process, holds the lock. The value is the number
    /// of the process, or 0 if it isn't visible in this pid namespace.
    Held(u32),
}

/// The name of a file and the identity of its folder. The key is the same for different paths to
/// the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LockKey {
    folder: (u64, u64),
    name: OsString,
}

/// The files that this process holds locks on. A forked copy holds no locks.
static HELD: PerProcess<Mutex<Vec<LockKey>>> = PerProcess::new();

impl FileLock {
    /// Takes the lock on a file, without waiting. Creates the file if it doesn't exist, accessible
    /// only to its owner.
    ///
    /// # Errors
    /// Returns the errors of [`open(2)`](https://man7.org/linux/man-pages/man2/open.2.html) and
    /// [`F_SETLK`](https://man7.org/linux/man-pages/man2/F_GETLK.2const.html).
    pub fn try_take(path: &Path) -> io::Result<LockAttempt> {
        Self::try_take_range(path, WHOLE)
    }

    /// Takes a lock that marks this process as one of several holders, which don't exclude each
    /// other.
    ///
    /// # Errors
    /// Returns the errors of [`FileLock::try_take`].
    pub fn try_take_own(path: &Path) -> io::Result<LockAttempt> {
        let own = std::process::id();
        let mut start = i64::from(own);
        for _ in 0..HOLDERS_MAX {
            match Self::try_take_range(path, Range { start, len: 1 })? {
                // A process of another pid namespace has the same number.
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
                // If another process has replaced the file in between, the lock has no effect.
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
        // Other processes keep replacing or locking the file.
        Ok(LockAttempt::Held(0))
    }

    /// Returns the processes that hold a lock on the file and are visible in this pid namespace.
    ///
    /// # Errors
    /// Fails if the file can't be read; `NotFound` if it doesn't exist.
    pub fn holders(path: &Path) -> io::Result<Vec<u32>> {
        let mut holders = Vec::new();
        let held = held()?;
        if held.contains(&LockKey::of(path)?) {
            // The kernel doesn't report a process's own locks, and closing the file would release
            // them.
            return Ok(vec![std::process::id()]);
        }
        let file = File::open(path)?;
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
        // A forked copy of the process doesn't hold the lock.
        if !self.process.is_current() {
            return;
        }
        let Ok(mut held) = held() else { return };
        // If this fails, the kernel releases the lock when the process ends.
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
    options.create(true).truncate(false).read(true).write(true).mode(0o600);
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

/// Replaces a file on which a process that may only read it holds a lock. With that lock, no
/// process that may write the file can lock it.
///
/// The files are exchanged, which shows which file was replaced. If another process has replaced
/// the file first, its file is put back.
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

/// The range of all bytes.
const WHOLE: Range = Range { start: 0, len: 0 };

/// Limits how often other processes may replace or lock the file before the lock counts as held.
const ROUNDS_MAX: usize = 8;

/// The kernel's process numbers are below this (`PID_MAX_LIMIT`).
const NUMBERS_MAX: i64 = 1 << 22;

/// Limits the servers of one program that run at once.
const HOLDERS_MAX: usize = 64;
