//! Mutexes, each of which is a page of sealed memory with a futex.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::fs::SealFlags;

use super::map::Mapping;
use crate::limits::within_file_size_limit;
use crate::mutex::Ownership;
use crate::wait::deadline_after;
use crate::{BorrowedHandle, HandleRef, Rights, memory};

mod lock;

/// The memory file of a mutex.
#[derive(Debug)]
pub(crate) struct MutexHandle {
    file: OwnedFd,
    mapping: OnceLock<Mapping>,
}

pub(crate) fn create() -> io::Result<MutexHandle> {
    let file = memory::create(c"mutex")?;
    memory::resize(file.as_fd(), LEN as u64)?;
    within_file_size_limit(|| {
        HandleRef::<std::fs::File>::new(file.as_fd()).write_all_at(MARK, MARK_AT)
    })?;
    rustix::fs::fcntl_add_seals(&file, SEALS)?;
    Ok(file.into())
}

/// Locks the mutex for this thread. Returns `None` if the timeout passes first.
pub(crate) fn lock(
    mutex: &MutexHandle,
    timeout: Option<Duration>,
) -> io::Result<Option<Ownership>> {
    let word = mutex.mapping()?.word(WORD_AT).ok_or_else(not_a_mutex)?;
    lock::lock(word, timeout.and_then(deadline_after))
}

pub(crate) fn unlock(mutex: &MutexHandle) {
    if let Some(word) = mutex.mapping.get().and_then(|mapping| mapping.word(WORD_AT)) {
        lock::unlock(word);
    }
}

impl MutexHandle {
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        self.file.try_clone().map(Self::from)
    }

    /// Returns the mapped memory. Maps it on first use, if it is sealed against shrinking.
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

impl AsFd for MutexHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl From<OwnedFd> for MutexHandle {
    fn from(file: OwnedFd) -> Self {
        Self { file, mapping: OnceLock::new() }
    }
}

impl From<MutexHandle> for OwnedFd {
    fn from(mutex: MutexHandle) -> Self {
        mutex.file
    }
}

/// Returns whether memory is a mutex. Checks its seals first, and then the tag in the memory.
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
    let len = HandleRef::<std::fs::File>::new(handle).read_at(&mut mark, MARK_AT)?;
    Ok(&mark[..len] == MARK)
}

fn not_a_mutex() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this memory holds no mutex")
}

/// The size of the memory, which does not depend on the page size of the machine.
const LEN: usize = 4096;
/// The offset of the 64-bit word that identifies the owner.
const WORD_AT: usize = 0;
/// The tag that identifies a mutex. It is at the end of the memory, so that its presence also
/// proves the length.
const MARK: &[u8; 16] = b"syshandle mutex\x01";
const MARK_AT: u64 = (LEN - MARK.len()) as u64;
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);
/// From `linux/fcntl.h` (Linux 6.3).
const F_SEAL_EXEC: u32 = 0x20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::feature::{Feature, seam::without};
    use crate::{Mutex, Object, identify};

    /// Locks the mutex on a thread that ends without unlocking it.
    fn abandon(mutex: &Mutex) {
        std::thread::scope(|scope| {
            scope.spawn(|| std::mem::forget(mutex.lock().unwrap())).join().unwrap();
        });
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
            let guard = loop {
                // The kernel may know the thread for a moment longer.
                match mutex.try_lock().unwrap() {
                    Some(guard) => break guard,
                    None => std::thread::yield_now(),
                }
            };
            assert!(guard.is_abandoned());
        });
    }

    #[test]
    fn a_waiter_learns_of_the_owners_death_within_its_wait() {
        let mutex = create().unwrap();
        let (locked, is_locked) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let mutex = &mutex;
            scope.spawn(move || {
                lock(mutex, None).unwrap().unwrap();
                locked.send(rustix::thread::gettid()).unwrap();
                // Waits until another thread waits for the mutex.
                while !lock::is_waited_for(mutex.mapping().unwrap().word(WORD_AT).unwrap()) {
                    std::thread::yield_now();
                }
            });
            is_locked.recv().unwrap();
            let ownership = lock(mutex, Some(Duration::from_secs(20))).unwrap().unwrap();
            assert!(ownership.is_abandoned);
            unlock(mutex);
        });
        assert!(!lock(&mutex, None).unwrap().unwrap().is_abandoned);
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
            let mutex = create().unwrap();
            mutex.mapping().unwrap().write(WORD_AT, &scribble.to_ne_bytes()).then_some(()).unwrap();
            // The result is irrelevant, but the call must return.
            drop(lock(&mutex, Some(Duration::from_millis(5))));
            let mutex = create().unwrap();
            lock(&mutex, None).unwrap().unwrap();
            assert!(mutex.mapping().unwrap().write(WORD_AT, &scribble.to_ne_bytes()));
            unlock(&mutex);
        }
        let short = memory::create(c"short").unwrap();
        rustix::fs::fcntl_add_seals(&short, SEALS).unwrap();
        assert!(Mutex::from(short).lock().is_err());
    }
}
