//! Shared memory that is accessed in whole words, while another process writes it.
#![expect(unsafe_code, reason = "mapped memory is raw memory that another process may change")]

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use rustix::mm::{Advice, MapFlags, ProtFlags};

use super::fork;
use crate::system_call::failed;

/// A shared mapping of a part of a memory file, as atomic words of 64 bits.
///
/// All accesses are atomic, so a peer that writes at the same time causes no undefined behaviour. A
/// forked child doesn't inherit the mapping, and finds no words.
#[derive(Debug)]
pub(crate) struct Words {
    start: NonNull<AtomicU64>,
    /// Length in words.
    len: usize,
    is_writable: bool,
    /// The process that made the mapping.
    epoch: u32,
}

// SAFETY: the mapping isn't tied to a thread, and all accesses to it are atomic.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Words {
    /// Length of a word in bytes.
    pub(crate) const LEN: usize = size_of::<AtomicU64>();

    /// Maps `len` bytes from `offset` on. Both are multiples of the page size. The file must be
    /// sealed against shrinking and must contain the whole range, because access beyond its end
    /// raises `SIGBUS`.
    ///
    /// # Errors
    /// The errors of `mmap(2)`, and `Unsupported` if the kernel can't keep the mapping from a
    /// forked child.
    pub(crate) fn new(
        file: BorrowedFd<'_>,
        offset: usize,
        len: usize,
        is_writable: bool,
    ) -> io::Result<Self> {
        let epoch = fork::epoch().ok_or(io::ErrorKind::Unsupported)?;
        let protection = match is_writable {
            true => ProtFlags::READ | ProtFlags::WRITE,
            false => ProtFlags::READ,
        };
        // SAFETY: a new mapping at an address chosen by the kernel overlaps no memory in use.
        let start = unsafe {
            let (flags, offset) = (MapFlags::SHARED, offset as u64);
            rustix::mm::mmap(ptr::null_mut(), len, protection, flags, file, offset)
        };
        let start = start.map_err(failed("mmap"))?;
        let words = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let words = Self { start: words, len: len / Self::LEN, is_writable, epoch };
        // SAFETY: the range is that new mapping, which no other code uses.
        let advised = unsafe { rustix::mm::madvise(start, len, Advice::LinuxDontFork) };
        advised.map_err(failed("madvise(MADV_DONTFORK)"))?;
        Ok(words)
    }

    /// Returns the length in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.len * Self::LEN
    }

    /// Returns the words, or `None` in a forked child.
    #[inline]
    fn all(&self) -> Option<&[AtomicU64]> {
        if fork::epoch() != Some(self.epoch) {
            return None;
        }
        // SAFETY: this process has made the mapping, which has that length, starts at a page
        // boundary and lives as long as `self`. Other processes can only change the values of the
        // words. In a mapping that isn't writable, this module only makes relaxed loads of them,
        // which don't write on any target of this crate.
        Some(unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) })
    }

    /// Returns the word at an offset in bytes. Returns `None` if the mapping doesn't contain it.
    #[inline]
    pub(crate) fn word(&self, at: usize) -> Option<&AtomicU64> {
        let words = self.all()?;
        if at % Self::LEN == 0 { words.get(at / Self::LEN) } else { None }
    }

    /// Returns the words of a range, which starts at a word.
    #[inline]
    fn range(&self, at: usize, len: usize) -> Option<&[AtomicU64]> {
        let (start, count) = (at / Self::LEN, len.div_ceil(Self::LEN));
        let words = self.all()?.get(start..start.checked_add(count)?)?;
        (at % Self::LEN == 0).then_some(words)
    }

    /// Loads a word. Later loads see what the writer stored before the word. Returns `None` if the
    /// mapping doesn't contain the word.
    #[inline]
    pub(crate) fn load(&self, at: usize) -> Option<u64> {
        let value = self.word(at)?.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        Some(value)
    }

    /// Stores a word after all earlier stores. Returns `false` and stores nothing if the mapping
    /// doesn't contain the word, or isn't writable.
    #[inline]
    #[must_use]
    pub(crate) fn store(&self, at: usize, value: u64) -> bool {
        match self.word(at).filter(|_| self.is_writable) {
            Some(word) => {
                word.store(value, Ordering::Release);
                true
            }
            None => false,
        }
    }

    /// Copies a range that starts at a word into `out`. Returns `false` and copies nothing if the
    /// mapping doesn't contain the range.
    #[inline]
    #[must_use]
    pub(crate) fn read(&self, at: usize, out: &mut [u8]) -> bool {
        let Some(words) = self.range(at, out.len()) else { return false };
        for (place, word) in out.chunks_mut(Self::LEN).zip(words) {
            let bytes = word.load(Ordering::Relaxed).to_ne_bytes();
            match <&mut [u8; Self::LEN]>::try_from(&mut *place) {
                Ok(place) => *place = bytes,
                Err(_) => place.copy_from_slice(&bytes[..place.len()]),
            }
        }
        true
    }

    /// Copies bytes to a range that starts at a word, and fills the last word with zeros. Returns
    /// `false` and copies nothing if the mapping doesn't contain the range, or isn't writable.
    #[inline]
    #[must_use]
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) -> bool {
        let words = self.range(at, bytes.len()).filter(|_| self.is_writable);
        let Some(words) = words else { return false };
        for (bytes, word) in bytes.chunks(Self::LEN).zip(words) {
            let whole = <[u8; Self::LEN]>::try_from(bytes).unwrap_or_else(|_| {
                let mut whole = [0; Self::LEN];
                whole[..bytes.len()].copy_from_slice(bytes);
                whole
            });
            word.store(u64::from_ne_bytes(whole), Ordering::Relaxed);
        }
        true
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // A forked child has no such mapping, and may have another one at this address.
        if fork::epoch() == Some(self.epoch) {
            // SAFETY: this is the mapping made in `new`, and no references to it exist.
            let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.bytes()) };
            debug_assert!(unmapped.is_ok(), "a whole mapping can be unmapped: {unmapped:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::memory;

    fn file(len: usize) -> std::os::fd::OwnedFd {
        let file = memory::create(c"words").unwrap();
        memory::resize(file.as_fd(), len as u64).unwrap();
        file
    }

    #[test]
    fn bytes_are_read_where_they_were_written_and_nothing_outside_is_touched() {
        let page = rustix::param::page_size();
        let file = file(2 * page);
        let writer = Words::new(file.as_fd(), page, page, true).unwrap();
        let reader = Words::new(file.as_fd(), page, page, false).unwrap();
        assert!(writer.write(16, b"some bytes") && writer.store(8, 7));
        assert_eq!(reader.load(8), Some(7));
        let mut out = [1; 17];
        assert!(reader.read(16, &mut out));
        assert_eq!(&out, b"some bytes\0\0\0\0\0\0\0");
        for at in [4, page - 1, page, usize::MAX - 7] {
            assert_eq!(reader.load(at), None, "{at}");
            assert!(!writer.store(at, 1) && !writer.write(at, b"x") && !reader.read(at, &mut out));
        }
        assert!(!writer.write(page - 8, b"nine bytes"));
        assert!(!reader.store(8, 1) && !reader.write(8, b"x"), "it isn't writable");
    }

    #[test]
    fn a_forked_child_finds_no_words() {
        let file = file(rustix::param::page_size());
        let words = Words::new(file.as_fd(), 0, rustix::param::page_size(), true).unwrap();
        assert!(words.store(0, 5));
        // SAFETY: the child reads memory, unmaps nothing, and exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let has_none = words.load(0).is_none() && !words.store(0, 6);
            drop(words);
            // SAFETY: ends the child without running any other code of the test.
            unsafe { libc::_exit(i32::from(!has_none)) }
        }
        let mut status = -1;
        // SAFETY: the call waits for the child created above, and writes its status.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!(status, 0, "the child has neither words nor a fault");
        assert_eq!(words.load(0), Some(5));
    }
}
