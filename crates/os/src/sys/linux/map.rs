//! Shared memory mappings. One process writes, and the other copies the bytes out.
#![expect(unsafe_code, reason = "mapped memory is raw memory that another process may change")]

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64};

use rustix::fs::SealFlags;
use rustix::mm::{MapFlags, ProtFlags};

use crate::memory;
use crate::system_call::failed;

/// A shared mapping of the first `len` bytes of a memory file.
///
/// This type never returns a slice, because another process may write at any time.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
    writable: bool,
}

// SAFETY: the mapping isn't tied to a thread. Its bytes are only copied, never borrowed.
unsafe impl Send for Mapping {}
// SAFETY: as above. Concurrent copies of overlapping ranges may mix bytes, as they may with another
// process.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the file. It must be at least `len` bytes long and sealed against shrinking, because
    /// access beyond its end raises `SIGBUS`.
    pub(crate) fn new(file: BorrowedFd<'_>, len: usize, writable: bool) -> io::Result<Self> {
        let protection = match writable {
            true => ProtFlags::READ | ProtFlags::WRITE,
            false => ProtFlags::READ,
        };
        // SAFETY: a new mapping at an address chosen by the kernel overlaps no memory in use.
        let start = unsafe {
            rustix::mm::mmap(ptr::null_mut(), len, protection, MapFlags::SHARED, file, 0)
        };
        let start = start.map_err(failed("mmap"))?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, len, writable })
    }

    /// Copies bytes into the mapping at the offset. Returns `false` and copies nothing if the
    /// mapping doesn't contain the whole range.
    #[must_use]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        let fits = self.contains(offset, bytes.len()) && self.writable;
        if fits {
            // SAFETY: the range lies within the mapping, which is writable and lives as long as
            // `self`. `bytes` is ordinary memory, so the two don't overlap.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.at(offset), bytes.len()) };
        }
        fits
    }

    /// Appends a copy of a range to `out`. Returns `false` and appends nothing if the mapping
    /// doesn't contain the whole range.
    #[must_use]
    pub(crate) fn read(&self, offset: usize, len: usize, out: &mut Vec<u8>) -> bool {
        let fits = self.contains(offset, len);
        if fits {
            out.reserve(len);
            // SAFETY: the range lies within the mapping, and `out` has capacity for `len` more
            // bytes. If the writer changes the range at the same time, the copy may mix old and new
            // bytes, but any bytes are valid.
            unsafe {
                ptr::copy_nonoverlapping(self.at(offset), out.as_mut_ptr().add(out.len()), len)
            };
            // SAFETY: these `len` bytes are initialized now.
            unsafe { out.set_len(out.len() + len) };
        }
        fits
    }

    /// Copies a range to `out`. Returns `false` and copies nothing if the mapping doesn't contain
    /// the whole range.
    #[must_use]
    pub(crate) fn copy(&self, offset: usize, out: &mut [u8]) -> bool {
        let fits = self.contains(offset, out.len());
        if fits {
            // SAFETY: the range lies within the mapping. `out` is ordinary memory, so the two don't
            // overlap. If the writer changes the range at the same time, the copy may mix old and
            // new bytes, but any bytes are valid.
            unsafe { ptr::copy_nonoverlapping(self.at(offset), out.as_mut_ptr(), out.len()) };
        }
        fits
    }

    /// Returns the 64-bit word at an aligned offset, for a mapping that is accessed only in such
    /// words. Returns `None` if the word isn't within the mapping, or if the mapping isn't
    /// writable.
    pub(crate) fn word(&self, offset: usize) -> Option<&AtomicU64> {
        let end = offset.checked_add(size_of::<AtomicU64>())?;
        if !self.writable || end > self.len || offset % align_of::<AtomicU64>() != 0 {
            return None;
        }
        // SAFETY: the word lies within the mapping, which starts at a page boundary and lives as
        // long as `self`. The word is aligned and writable, and other processes can only change its
        // value.
        Some(unsafe { &*self.at(offset).cast::<AtomicU64>() })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the mapping contains the whole range.
    pub(crate) fn contains(&self, offset: usize, len: usize) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.len)
    }

    /// Returns the address of a byte within the mapping.
    fn at(&self, offset: usize) -> *mut u8 {
        self.start.as_ptr().wrapping_add(offset)
    }
}

/// Returns the half of a word with its lower 32 bits, for a system call that changes only these.
/// Rust code must access only the whole word.
pub(crate) fn lower_half(word: &AtomicU64) -> &AtomicU32 {
    let halves: *const AtomicU32 = ptr::from_ref(word).cast();
    let place = if cfg!(target_endian = "little") { 0 } else { 1 };
    // SAFETY: both halves lie within the word, are aligned for 32 bits, and live as long as the
    // word.
    unsafe { &*halves.add(place) }
}

/// A mapping of a memory file whose bytes never change, so that they can be borrowed as a slice.
#[derive(Debug)]
pub(crate) struct View(Option<Mapping>);

impl View {
    /// Maps the whole file. Its seals must prove that no process can write or shrink it.
    ///
    /// # Errors
    /// `InvalidInput` if one of those seals is missing; otherwise the errors of `mmap(2)`.
    pub(crate) fn new(file: BorrowedFd<'_>) -> io::Result<Self> {
        let frozen = SealFlags::SHRINK | SealFlags::WRITE;
        if !rustix::fs::fcntl_get_seals(file)?.contains(frozen) {
            let what = "a section is only viewed when it is sealed against writing and shrinking";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let len = usize::try_from(memory::len(file)?).map_err(|_| io::ErrorKind::OutOfMemory)?;
        Ok(Self(match len {
            0 => None,
            len => Some(Mapping::new(file, len, false)?),
        }))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.0 {
            // SAFETY: the mapping has that length and lives as long as `self`. `new` has checked
            // the seals, which can't be removed, so the bytes can neither change nor disappear.
            Some(mapping) => unsafe { slice::from_raw_parts(mapping.start.as_ptr(), mapping.len) },
            None => &[],
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the mapping created in `new`, and no references to it exist.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "a whole mapping can be unmapped: {unmapped:?}");
    }
}
