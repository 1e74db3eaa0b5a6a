//! Mutexes: locks that threads of different processes share.
//!
//! | | |
//! |---|---|
//! | object | a [mutex](https://learn.microsoft.com/windows/win32/sync/mutex-objects) |
//! | proof | the object's type is `Mutant` |
//! | rights | `wait` (lock): `SYNCHRONIZE`, enforced by the kernel; its owner may unlock it with any handle |
//! | `try_clone` | the same mutex |
//! | MIDL | `sh_mutex` |
//!
//! Unlike a mutex on Linux, it is recursive: a thread that owns it can lock it again.

use std::io;
use std::marker::PhantomData;
use std::os::windows::io::AsHandle;
use std::time::Duration;

use super::handle::impl_owned;
use crate::sys::mutex::{self, Locked};
use crate::{Declared, Kind, OwnedHandle};

/// A mutex that processes share.
#[derive(Debug)]
pub struct Mutex(OwnedHandle);

impl_owned!(Mutex, "mutex", Declared::kind(Kind::Mutex));

/// The ownership of a mutex. Dropping the guard unlocks the mutex, in the thread that locked it.
#[derive(Debug)]
#[must_use = "the mutex is unlocked as soon as its guard is dropped"]
pub struct MutexGuard<'a> {
    mutex: &'a Mutex,
    is_abandoned: bool,
    /// A thread owns the mutex, so the guard can't move to another thread.
    thread: PhantomData<*const ()>,
}

impl Mutex {
    /// Makes a mutex that isn't locked, without a name.
    ///
    /// # Errors
    /// Returns the errors of `CreateMutex`.
    pub fn new() -> io::Result<Self> {
        Ok(Self(mutex::create()?))
    }

    /// Opens the mutex of this name in the user's session, and creates it if it doesn't exist.
    ///
    /// # Errors
    /// Returns the errors of `CreateMutex`, for example if another object has the name.
    pub fn named(name: &str) -> io::Result<Self> {
        Ok(Self(mutex::named(&format!(r"Local\{name}"))?))
    }

    /// Locks the mutex, waiting without a time limit.
    ///
    /// # Errors
    /// Returns the errors of `WaitForSingleObject`.
    pub fn lock(&self) -> io::Result<MutexGuard<'_>> {
        match self.acquire(None)? {
            Some(guard) => Ok(guard),
            None => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Locks the mutex, waiting at most `timeout`; returns `None` if it passes first.
    ///
    /// # Errors
    /// Returns the errors of `WaitForSingleObject`.
    pub fn lock_timeout(&self, timeout: Duration) -> io::Result<Option<MutexGuard<'_>>> {
        self.acquire(Some(timeout))
    }

    /// Locks the mutex if no other thread owns it; otherwise returns `None`.
    ///
    /// # Errors
    /// Returns the errors of `WaitForSingleObject`.
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
    /// Returns whether the last owner ended without unlocking the mutex. The data that the mutex
    /// guards may then be inconsistent.
    pub fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }
}

impl Drop for MutexGuard<'_> {
    fn drop(&mut self) {
        // This thread owns the mutex, so the call can't fail.
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
