//! Mutexes: one thread at a time, of all processes that hold it.
//!
//! | | |
//! |---|---|
//! | object | a [mutex](https://learn.microsoft.com/windows/win32/sync/mutex-objects) |
//! | proof | the object's type is `Mutant` |
//! | rights | `wait` (lock): `SYNCHRONIZE`, enforced by the kernel; its owner may unlock it with any handle |
//! | `try_clone` | the same mutex |
//! | MIDL | `sh_mutex` |
//!
//! Unlike the one of Linux it is recursive: a thread that owns it locks it once more.

use std::io;
use std::marker::PhantomData;
use std::os::windows::io::AsHandle;
use std::time::Duration;

use super::handle::impl_owned;
use super::sys::mutex::{self, Locked};
use crate::{Declared, Kind, OwnedHandle};

/// A mutex that processes share.
#[derive(Debug)]
pub struct Mutex(OwnedHandle);

impl_owned!(Mutex, "mutex", Declared::kind(Kind::Mutex));

/// The ownership of a mutex; unlocks it when dropped, by the thread that locked it.
#[derive(Debug)]
#[must_use = "the mutex is unlocked as soon as its guard is dropped"]
pub struct MutexGuard<'a> {
    mutex: &'a Mutex,
    is_abandoned: bool,
    /// The owner is a thread: the guard stays with it.
    thread: PhantomData<*const ()>,
}

impl Mutex {
    /// Makes a mutex that isn't locked, without a name.
    ///
    /// # Errors
    /// Those of `CreateMutex`.
    pub fn new() -> io::Result<Self> {
        Ok(Self(mutex::create()?))
    }

    /// The mutex of this name in the user's session, made where there is none.
    ///
    /// # Errors
    /// Those of `CreateMutex`: the name is that of something else.
    pub fn named(name: &str) -> io::Result<Self> {
        Ok(Self(mutex::named(&format!(r"Local\{name}"))?))
    }

    /// Locks the mutex, waiting for as long as it takes.
    ///
    /// # Errors
    /// Those of `WaitForSingleObject`.
    pub fn lock(&self) -> io::Result<MutexGuard<'_>> {
        match self.acquire(None)? {
            Some(guard) => Ok(guard),
            None => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Locks the mutex, but doesn't wait longer than `timeout`: then `None`.
    ///
    /// # Errors
    /// Those of `WaitForSingleObject`.
    pub fn lock_timeout(&self, timeout: Duration) -> io::Result<Option<MutexGuard<'_>>> {
        self.acquire(Some(timeout))
    }

    /// Locks the mutex if no other thread owns it; else `None`.
    ///
    /// # Errors
    /// Those of `WaitForSingleObject`.
    pub fn try_lock(&self) -> io::Result<Option<MutexGuard<'_>>> {
        self.acquire(Some(Duration::ZERO))
    }

    fn acquire(&self, timeout: Option<Duration>) -> io::Result<Option<MutexGuard<'_>>> {
        let is_abandoned = match mutex::lock(self.0.as_handle(), timeout)? {
            Locked::Not => return Ok(None),
            Locked::Owned => false,
            Locked::Abandoned => true,
        };
        Ok(Some(MutexGuard { mutex: self, is_abandoned, thread: PhantomData }))
    }
}

impl MutexGuard<'_> {
    /// Whether the last owner ended without unlocking the mutex: what it guards may be half done.
    pub fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }
}

impl Drop for MutexGuard<'_> {
    fn drop(&mut self) {
        // This thread owns it, so that can't fail.
        let _ = mutex::unlock(self.mutex.0.as_handle());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_that_ends_abandons_it() {
        let mutex = Mutex::new().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| std::mem::forget(mutex.lock().unwrap())).join().unwrap();
        });
        assert!(mutex.lock().unwrap().is_abandoned());
        assert!(!mutex.try_lock().unwrap().unwrap().is_abandoned());
    }

    #[test]
    fn another_thread_waits() {
        let mutex = Mutex::new().unwrap();
        let _guard = mutex.lock().unwrap();
        let locked = std::thread::scope(|scope| {
            scope.spawn(|| mutex.try_lock().unwrap().is_some()).join().unwrap()
        });
        assert!(!locked);
    }
}
