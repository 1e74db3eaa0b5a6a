//! Mutexes: locks that threads of different processes share.
//!
//! | | |
//! |---|---|
//! | object | a page of sealed memory with a priority-inheriting futex in it ([futex(2)](https://man7.org/linux/man-pages/man2/futex.2.html), `FUTEX_LOCK_PI`) |
//! | proof | the seals of a mutex, read and write access, and its mark in the memory |
//! | rights | `wait` (lock) and `signal` (unlock): advisory. Each holder can lock it for ever, and can overwrite it |
//! | `try_clone` | the same mutex |
//! | Windows | a mutex HANDLE, `sh_mutex`, which unlike a mutex on Linux is recursive |
//!
//! A mutex is for cooperating processes in one pid namespace, because the memory names the owner by
//! its thread number there. It is not suitable across a trust boundary: a hostile holder can
//! prevent others from ever locking it, though it can do no other harm. The memory holds no
//! pointers. That is why this isn't a robust `pthread_mutex_t`, which keeps the links of a list in
//! shared memory: a process that unlocks such a mutex writes to the addresses in these links.
//!
//! **Death**: a thread that ends while it owns the mutex abandons it, and the next owner is told
//! ([`MutexGuard::is_abandoned`]). Waiters learn of it at once, because the kernel knows the owner
//! they wait for. A thread that locks later finds the number of a thread that no longer exists, or
//! a number that another thread has now. A stamp of the owner's identity beside the number tells
//! these apart. The stamp requires Linux 6.9. Before that, an abandoned mutex whose owner's number
//! is in use again stays locked until the thread with that number ends.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::fs::SealFlags;

use crate::handle::impl_handle;
use crate::limits::within_file_size_limit;
use crate::sys::DUPLICATE;
use crate::sys::map::Mapping;
use crate::system_call::failed;
use crate::wait::deadline_after;
use crate::{Borrowed, BorrowedHandle, Declared, Kind, Rights, memory};

mod lock;

/// A mutex that processes share.
#[derive(Debug)]
pub struct Mutex {
    file: OwnedFd,
    mapping: OnceLock<Mapping>,
}

impl_handle!(Mutex => Declared::kind(Kind::Mutex));

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
    /// Makes a mutex that isn't locked.
    ///
    /// # Errors
    /// Returns the errors of `memfd_create(2)`, for example if no descriptor or memory is left.
    pub fn new() -> io::Result<Self> {
        let file = memory::create(c"mutex")?;
        memory::resize(file.as_fd(), LEN as u64)?;
        within_file_size_limit(|| {
            Borrowed::<std::fs::File>::new(file.as_fd()).write_all_at(MARK, MARK_AT)
        })?;
        rustix::fs::fcntl_add_seals(&file, SEALS)?;
        Ok(file.into())
    }

    /// Locks the mutex, waiting without a time limit.
    ///
    /// # Errors
    /// `Deadlock` if this thread owns the mutex already; `InvalidData` if the memory is not a
    /// mutex; the errors of `mmap(2)`.
    pub fn lock(&self) -> io::Result<MutexGuard<'_>> {
        match self.acquire(None)? {
            Some(guard) => Ok(guard),
            None => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Locks the mutex, waiting at most `timeout`; returns `None` if it passes first.
    ///
    /// # Errors
    /// Returns the errors of [`Mutex::lock`].
    pub fn lock_timeout(&self, timeout: Duration) -> io::Result<Option<MutexGuard<'_>>> {
        self.acquire(Some(timeout))
    }

    /// Locks the mutex if no thread owns it; otherwise returns `None`.
    ///
    /// # Errors
    /// Returns the errors of [`Mutex::lock`], except for `Deadlock`.
    pub fn try_lock(&self) -> io::Result<Option<MutexGuard<'_>>> {
        match self.acquire(Some(Duration::ZERO)) {
            Err(error) if error.kind() == io::ErrorKind::Deadlock => Ok(None),
            locked => locked,
        }
    }

    /// Returns a second handle to the same mutex.
    ///
    /// # Errors
    /// Fails if no descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(self.file.try_clone().map_err(failed(DUPLICATE))?.into())
    }

    fn acquire(&self, timeout: Option<Duration>) -> io::Result<Option<MutexGuard<'_>>> {
        let word = self.mapping()?.word(WORD_AT).ok_or_else(not_a_mutex)?;
        let locked = lock::lock(word, timeout.and_then(deadline_after))?;
        Ok(locked.map(|lock::Locked { is_abandoned }| MutexGuard {
            mutex: self,
            is_abandoned,
            thread: PhantomData,
        }))
    }

    /// Returns the mapped memory. It is mapped on first use, and only if it can't shrink.
    fn mapping(&self) -> io::Result<&Mapping> {
        if let Some(mapping) = self.mapping.get() {
            return Ok(mapping);
        }
        let sealed = rustix::fs::fcntl_get_seals(&self.file)?.contains(SealFlags::SHRINK);
        if !sealed || memory::len(self.file.as_fd())? < LEN as u64 {
            return Err(not_a_mutex());
        }
        let mapping = Mapping::new(self.file.as_fd(), LEN, true)?;
        Ok(self.mapping.get_or_init(|| mapping))
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
        if let Some(word) = self.mutex.mapping.get().and_then(|mapping| mapping.word(WORD_AT)) {
            lock::unlock(word);
        }
    }
}

impl AsFd for Mutex {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl From<OwnedFd> for Mutex {
    fn from(file: OwnedFd) -> Self {
        Self { file, mapping: OnceLock::new() }
    }
}

impl From<Mutex> for OwnedFd {
    fn from(mutex: Mutex) -> Self {
        mutex.file
    }
}

/// Returns whether memory is a mutex. Checks its seals first and its mark second.
pub(crate) fn is_mutex(
    handle: BorrowedHandle<'_>,
    access: Rights,
    seals: SealFlags,
) -> io::Result<bool> {
    let not_executable = SealFlags::from_bits_retain(F_SEAL_EXEC);
    let both = Rights::READ | Rights::WRITE;
    if seals.difference(not_executable) != SEALS || !access.contains(both) {
        return Ok(false);
    }
    let mut mark = [0; MARK.len()];
    let len = Borrowed::<std::fs::File>::new(handle).read_at(&mut mark, MARK_AT)?;
    Ok(&mark[..len] == MARK)
}

fn not_a_mutex() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this memory holds no mutex")
}

/// The size of the memory. It does not depend on the machine's page size. Only the first
/// bytes are used.
const LEN: usize = 4096;
/// The offset of the word that names the owner.
const WORD_AT: usize = 0;
/// The mark, which is at the end of the memory, so that it also proves the length.
const MARK: &[u8; 16] = b"syshandle mutex\x01";
const MARK_AT: u64 = (LEN - MARK.len()) as u64;
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);
/// From `linux/fcntl.h`, Linux 6.3.
const F_SEAL_EXEC: u32 = 0x20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::feature::{Feature, seam::without};
    use crate::{Object, identify};

    /// Locks the mutex in a thread that ends without unlocking it.
    fn abandon(mutex: &Mutex) {
        std::thread::scope(|scope| {
            scope.spawn(|| std::mem::forget(mutex.lock().unwrap())).join().unwrap();
        });
    }

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
                        // If two threads were in here at once, updates would be lost.
                        let place: &std::cell::Cell<i32> = as_cell(place);
                        place.set(place.get() + 1);
                    }
                });
            }
        });
        assert_eq!(turns, 600);
    }

    #[expect(unsafe_code, reason = "the mutex under test is what makes this sound")]
    fn as_cell<'a>(place: *mut i32) -> &'a std::cell::Cell<i32> {
        // SAFETY: the number outlives all threads, and the mutex lets only one thread at a time use
        // it.
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
    fn locking_twice_is_a_deadlock_and_says_so() {
        let mutex = Mutex::new().unwrap();
        let _guard = mutex.lock().unwrap();
        assert_eq!(mutex.lock().unwrap_err().kind(), io::ErrorKind::Deadlock);
        assert!(mutex.try_lock().unwrap().is_none());
    }

    #[test]
    fn a_mutex_that_an_owner_abandoned_says_so_once() {
        let mutex = Mutex::new().unwrap();
        abandon(&mutex);
        assert!(mutex.lock().unwrap().is_abandoned());
        assert!(!mutex.lock().unwrap().is_abandoned());
        without(Feature::Pidfs, || {
            abandon(&mutex);
            assert!(mutex.try_lock().unwrap().unwrap().is_abandoned());
        });
    }

    #[test]
    fn a_waiter_learns_of_the_owners_death_within_its_wait() {
        let mutex = Mutex::new().unwrap();
        let (locked, is_locked) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let mutex = &mutex;
            scope.spawn(move || {
                std::mem::forget(mutex.lock().unwrap());
                locked.send(rustix::thread::gettid()).unwrap();
                // The loop ends once another thread waits.
                while !lock::is_waited_for(mutex.mapping().unwrap().word(WORD_AT).unwrap()) {
                    std::thread::yield_now();
                }
            });
            is_locked.recv().unwrap();
            let guard = mutex.lock_timeout(Duration::from_secs(20)).unwrap().unwrap();
            assert!(guard.is_abandoned());
        });
        assert!(!mutex.lock().unwrap().is_abandoned());
    }

    #[test]
    fn a_mutex_is_told_from_a_section() {
        let mutex = Mutex::new().unwrap();
        assert_eq!(identify(mutex.as_fd()).unwrap().object, Object::Mutex);
        let section = crate::Section::new(LEN as u64).unwrap();
        rustix::fs::fcntl_add_seals(&section, SEALS).unwrap();
        assert_eq!(identify(section.as_fd()).unwrap().object, Object::Memory);
    }

    #[test]
    fn scribbled_mutex_memory_causes_only_errors_or_waits() {
        for scribble in [1, u64::MAX, u64::MAX << 32, 0x4000_0000, 0x8000_0000, 0xdead_beef] {
            let mutex = Mutex::new().unwrap();
            mutex.mapping().unwrap().write(WORD_AT, &scribble.to_ne_bytes()).then_some(()).unwrap();
            // Any result is accepted, but the call must return.
            drop(mutex.lock_timeout(Duration::from_millis(5)));
            let guard = Mutex::new().unwrap();
            let guard = guard.lock().unwrap();
            let memory = guard.mutex.mapping().unwrap();
            assert!(memory.write(WORD_AT, &scribble.to_ne_bytes()));
            drop(guard);
        }
        let short = memory::create(c"short").unwrap();
        rustix::fs::fcntl_add_seals(&short, SEALS).unwrap();
        assert!(Mutex::from(short).lock().is_err());
    }
}
