//! Mutexes: locks that threads of different processes share.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | a page of sealed memory that contains a priority-inheriting futex ([futex(2)](https://man7.org/linux/man-pages/man2/futex.2.html), `FUTEX_LOCK_PI`) | a [mutex](https://learn.microsoft.com/windows/win32/sync/mutex-objects) |
//! | proof | the seals that `Mutex::new` sets, read and write access, and a tag in the memory | the object's type is `Mutant` |
//! | rights | `wait` (lock) and `signal` (unlock): advisory. Any holder can keep it locked, and can overwrite it | `wait` (lock): `SYNCHRONIZE`, enforced by the kernel. Its owner may unlock it with any handle |
//! | `try_clone` | the same mutex | the same mutex |
//! | MIDL | | `sh_mutex` |
//!
//! A Windows mutex is recursive: the thread that owns it can lock it again. On Linux, locking it
//! again is an error.
//!
//! A Linux mutex is for cooperating processes in one pid namespace, because the memory identifies
//! the owner by its thread ID there. It is not suitable across a trust boundary: a hostile holder
//! can prevent others from ever locking it, though it can do no other harm. The memory contains no
//! pointers. For that reason the mutex isn't a robust `pthread_mutex_t`, which keeps a linked list
//! in shared memory: a process that unlocks one writes to the addresses in the list.
//!
//! **Owner death**: a thread that ends while it owns the mutex abandons it, and the next owner is
//! told so ([`MutexGuard::is_abandoned`]). Threads that already wait are woken at once by the
//! kernel, which knows the owner. A thread that locks later finds the owner's thread ID in the
//! memory, and must determine whether that thread has ended and its ID now belongs to another
//! thread. A stamp next to the ID, which identifies the owner uniquely, tells these cases apart.
//! The stamp requires Linux 6.9. On older kernels, an abandoned mutex whose owner's ID is reused
//! stays locked until the thread with that ID ends.

use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use crate::owned::impl_owned;
use crate::sys::mutex::MutexHandle;
use crate::{Declaration, Kind, sys};

/// A mutex that several processes can share.
#[derive(Debug)]
pub struct Mutex(MutexHandle);

impl_owned!(Mutex, "mutex", Declaration::kind(Kind::Mutex));

/// Ownership of a locked mutex. Dropping the guard unlocks the mutex.
#[derive(Debug)]
#[must_use = "the mutex is unlocked as soon as its guard is dropped"]
pub struct MutexGuard<'a> {
    mutex: &'a Mutex,
    is_abandoned: bool,
    /// Makes the guard `!Send`, because only the thread that locked the mutex may unlock it.
    thread: PhantomData<*const ()>,
}

/// The state of the mutex when a thread acquires it.
pub(crate) struct Ownership {
    /// Whether the previous owner ended without unlocking the mutex.
    pub(crate) is_abandoned: bool,
}

impl Mutex {
    /// Creates an unnamed mutex that isn't locked.
    ///
    /// # Errors
    /// Returns the errors of `memfd_create(2)` on Linux, for example if no file descriptors or
    /// memory are available, and of `CreateMutex` on Windows.
    pub fn new() -> io::Result<Self> {
        sys::mutex::create().map(Self)
    }

    /// Windows only: opens the mutex with this name in the user's session, and creates it if it
    /// doesn't exist.
    ///
    /// # Errors
    /// Returns the errors of `CreateMutex`, for example if another object has the name.
    #[cfg(windows)]
    pub fn named(name: &str) -> io::Result<Self> {
        sys::mutex::named(&format!(r"Local\{name}")).map(Self)
    }

    /// Locks the mutex. Waits indefinitely.
    ///
    /// # Errors
    /// On Linux: `Deadlock` if this thread already owns the mutex, `InvalidData` if the memory is
    /// not a mutex, and the errors of `mmap(2)`. On Windows: the errors of `WaitForSingleObject`.
    pub fn lock(&self) -> io::Result<MutexGuard<'_>> {
        match self.acquire(None)? {
            Some(guard) => Ok(guard),
            None => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Locks the mutex, waiting at most `timeout`. Returns `None` if the timeout passes first.
    ///
    /// # Errors
    /// Returns the errors of [`Mutex::lock`].
    pub fn lock_timeout(&self, timeout: Duration) -> io::Result<Option<MutexGuard<'_>>> {
        self.acquire(Some(timeout))
    }

    /// Locks the mutex if no thread owns it; otherwise returns `None`. On Windows, also succeeds if
    /// this thread already owns the mutex.
    ///
    /// # Errors
    /// Returns the errors of [`Mutex::lock`], except for `Deadlock`.
    pub fn try_lock(&self) -> io::Result<Option<MutexGuard<'_>>> {
        match self.acquire(Some(Duration::ZERO)) {
            Err(error) if error.kind() == io::ErrorKind::Deadlock => Ok(None),
            locked => locked,
        }
    }

    fn acquire(&self, timeout: Option<Duration>) -> io::Result<Option<MutexGuard<'_>>> {
        let ownership = sys::mutex::lock(&self.0, timeout)?;
        Ok(ownership.map(|Ownership { is_abandoned }| MutexGuard {
            mutex: self,
            is_abandoned,
            thread: PhantomData,
        }))
    }
}

impl MutexGuard<'_> {
    /// Returns whether the previous owner ended without unlocking the mutex. The data that the
    /// mutex guards may then be inconsistent.
    pub fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }
}

impl Drop for MutexGuard<'_> {
    fn drop(&mut self) {
        sys::mutex::unlock(&self.mutex.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_at_a_time_owns_it() {
        let mutex = Mutex::new().unwrap();
        let other = mutex.try_clone().unwrap();
        let mut turns = 0;
        let shared = std::sync::atomic::AtomicPtr::new(&raw mut turns);
        std::thread::scope(|scope| {
            for mutex in [&mutex, &other, &mutex] {
                let shared = &shared;
                scope.spawn(move || {
                    for _ in 0..200 {
                        let guard = mutex.lock().unwrap();
                        assert!(!guard.is_abandoned());
                        let place = shared.load(std::sync::atomic::Ordering::Relaxed);
                        // If two threads were here at the same time, updates would be lost.
                        let place: &std::cell::Cell<i32> = as_cell(place);
                        place.set(place.get() + 1);
                    }
                });
            }
        });
        assert_eq!(turns, 600);
    }

    #[expect(unsafe_code, reason = "the mutex under test guarantees exclusive access")]
    fn as_cell<'a>(place: *mut i32) -> &'a std::cell::Cell<i32> {
        // SAFETY: the integer outlives all threads, and the mutex lets only one thread at a time
        // access it.
        unsafe { &*place.cast() }
    }

    #[test]
    fn a_locked_mutex_is_waited_for_until_the_deadline() {
        let mutex = Mutex::new().unwrap();
        let guard = mutex.lock().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert!(mutex.try_lock().unwrap().is_none());
                assert!(mutex.lock_timeout(Duration::from_millis(1)).unwrap().is_none());
            });
        });
        drop(guard);
        assert!(mutex.try_lock().unwrap().is_some());
    }

    #[test]
    fn an_owner_that_ends_abandons_it() {
        let mutex = Mutex::new().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| std::mem::forget(mutex.lock().unwrap())).join().unwrap();
        });
        assert!(mutex.lock().unwrap().is_abandoned());
        assert!(!mutex.try_lock().unwrap().unwrap().is_abandoned());
    }
}
