//! Mutexes: one thread at a time, of all processes that hold it.
//!
//! | | |
//! |---|---|
//! | object | a page of sealed memory with a priority-inheriting futex in it ([futex(2)](https://man7.org/linux/man-pages/man2/futex.2.html), `FUTEX_LOCK_PI`) |
//! | proof | seals as a mutex has them, read and write access, and its mark in the memory |
//! | rights | `wait` (lock) and `signal` (unlock): advisory. Whoever holds it can lock it for ever, and can overwrite it |
//! | `try_clone` | the same mutex |
//! | Windows | a mutex HANDLE, `sh_mutex`; unlike it, this one isn't recursive |
//!
//! For processes that cooperate, in one pid namespace, as the memory names the owner by its thread
//! number there. Across a trust boundary use something else: a hostile holder can keep others from
//! ever locking it, though it can't do more to them than that. The memory holds no pointers, which
//! is why this isn't a robust `pthread_mutex_t`: that one keeps links of a list in shared memory, and
//! a process that unlocks it writes to wherever they point.
//!
//! **Death**: a thread that ends while it owns the mutex abandons it, and the next owner is told
//! ([`MutexGuard::is_abandoned`]). Waiters learn of it at once, since the kernel itself knows whom
//! they wait for. A thread that locks later finds a number that no thread has any more, or that
//! another thread has: they are told apart by a stamp of the owner's identity beside the number.
//! That needs Linux 6.9; before it, an abandoned mutex whose owner's number is in use again stays
//! locked until that thread ends.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::fs::SealFlags;

use crate::handle::impl_handle;
use crate::limits::within_file_size_limit;
use crate::sys::map::Mapping;
use crate::system_call::{DUPLICATE, failed};
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
    /// Makes a mutex that isn't locked.
    ///
    /// # Errors
    /// Those of `memfd_create(2)`: no descriptor or memory left.
    pub fn new() -> io::Result<Self> {
        let file = memory::create(c"mutex")?;
        memory::resize(file.as_fd(), LEN as u64)?;
        within_file_size_limit(|| {
            Borrowed::<std::fs::File>::new(file.as_fd()).write_all_at(MARK, MARK_AT)
        })?;
        rustix::fs::fcntl_add_seals(&file, SEALS)?;
        Ok(file.into())
    }

    /// Locks the mutex, waiting for as long as it takes.
    ///
    /// # Errors
    /// `Deadlock` when this thread owns it already; `InvalidData` for memory that isn't a mutex's;
    /// those of `mmap(2)`.
    pub fn lock(&self) -> io::Result<MutexGuard<'_>> {
        match self.acquire(None)? {
            Some(guard) => Ok(guard),
            None => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Locks the mutex, but doesn't wait longer than `timeout`: then `None`.
    ///
    /// # Errors
    /// Those of [`Mutex::lock`].
    pub fn lock_timeout(&self, timeout: Duration) -> io::Result<Option<MutexGuard<'_>>> {
        self.acquire(Some(timeout))
    }

    /// Locks the mutex if nobody owns it; else `None`.
    ///
    /// # Errors
    /// Those of [`Mutex::lock`], but for `Deadlock`.
    pub fn try_lock(&self) -> io::Result<Option<MutexGuard<'_>>> {
        match self.acquire(Some(Duration::ZERO)) {
            Err(error) if error.kind() == io::ErrorKind::Deadlock => Ok(None),
            locked => locked,
        }
    }

    /// A second handle to the same mutex.
    ///
    /// # Errors
    /// No descriptor left.
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

    /// The memory, mapped when it is first needed and only if it can't shrink.
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
    /// Whether the last owner ended without unlocking the mutex: what it guards may be half done.
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

/// Whether memory is a mutex: its seals, and only then its mark, are looked at.
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
    io::Error::new(io::ErrorKind::InvalidData, "this memory isn't that of a mutex")
}

/// A page, whatever its size on this machine: its first bytes are used.
const LEN: usize = 4096;
/// Where the owner is written.
const WORD_AT: usize = 0;
/// The mark is at the end, so that it also says how long the memory is.
const MARK: &[u8; 16] = b"syshandle mutex\x01";
const MARK_AT: u64 = (LEN - MARK.len()) as u64;
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);
/// From `linux/fcntl.h`, Linux 6.3.
const F_SEAL_EXEC: u32 = 0x20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::{Feature, seam::without};
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
                        // Lost updates show where two threads are in here.
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
        // SAFETY: the number outlives all threads, and the mutex lets one at a time use it.
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
                // Ends once somebody waits.
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
    fn what_a_peer_scribbles_is_an_error_or_a_wait_but_no_more() {
        for scribble in [1, u64::MAX, u64::MAX << 32, 0x4000_0000, 0x8000_0000, 0xdead_beef] {
            let mutex = Mutex::new().unwrap();
            mutex.mapping().unwrap().write(WORD_AT, &scribble.to_ne_bytes()).then_some(()).unwrap();
            // Whatever it is, it comes back.
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
