//! Shared memory for values too large for a message. One process writes to it and another one
//! reads.
//!
//! The writer creates a memory file, seals its size, and sends its handle once. The reader checks
//! the seals and maps the file read-only. The reader copies bytes out before it decodes them, so
//! that they can't change during decoding.
//!
//! The kernel charges a page of such a file to the process that touches it first, and keeps the
//! charge while any process holds the file. Therefore the writer allocates pages as it needs them,
//! so that a failure is an error instead of a `SIGBUS`, and frees unused pages. Reading a hole also
//! allocates a page, and charges it to the reader. Therefore each side frees all pages of the file
//! when it closes, even if other processes still hold the file.
//!
//! With strict memory accounting (`vm.overcommit_memory` = 2), a reader of a hole gets a `SIGBUS`
//! if no page is available. On such a system the reader uses `pread(2)` instead of its mapping.
//! `pread(2)` reads zeros from a hole without allocating a page, but takes up to 2.7 times as long.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{FallocateFlags, MemfdFlags, OFlags, SealFlags, StatxFlags};
use rustix::io::{Errno, pread, retry_on_intr};

use crate::OwnedHandle;
use crate::limits::{file_size_limit, past_file_size_limit, within_file_size_limit};
use crate::sys::{device, fork, map::Mapping, proc, stat::stat};
use crate::system_call::failed;

/// The writing side of shared memory.
#[derive(Debug)]
pub struct SharedWriter {
    memory: Memory,
    /// The offset up to which pages are allocated. Pages below it are missing only if the reader
    /// has freed them.
    allocated: AtomicUsize,
}

/// The reading side of shared memory.
#[derive(Debug)]
pub struct SharedReader {
    memory: Memory,
    access: ReadAccess,
}

/// The method by which a reader copies bytes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadAccess {
    /// Reads the mapping. Reading a hole allocates a page.
    Mapping,
    /// Calls `pread(2)`. Reading a hole allocates nothing.
    Call,
}

/// A mapped memory file whose pages are freed on drop.
#[derive(Debug)]
struct Memory {
    file: OwnedFd,
    mapping: Mapping,
    /// The process that created this value. A forked child must not free the pages.
    epoch: Option<u32>,
}

impl SharedWriter {
    /// Creates shared memory of `len_max` bytes. If this process may not write files that large,
    /// creates it with the largest permitted size. Allocates no pages.
    ///
    /// # Errors
    /// Returns the errors of
    /// [`memfd_create(2)`](https://man7.org/linux/man-pages/man2/memfd_create.2.html) and
    /// `mmap(2)`. Returns `FileTooLarge` if the file size limit of this process is zero.
    pub fn new(len_max: usize) -> io::Result<Self> {
        let limit = file_size_limit()
            .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let len = len_max.min(limit);
        if len == 0 {
            return Err(past_file_size_limit());
        }
        let file = create(c"syshandle")?;
        resize(file.as_fd(), len as u64)?;
        rustix::fs::fcntl_add_seals(&file, SEALS)?;
        let memory = Memory::new(file, len, true).map_err(|(_, error)| error)?;
        Ok(Self { memory, allocated: AtomicUsize::new(0) })
    }

    /// Returns the size in bytes, which never changes.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub fn len(&self) -> usize {
        self.memory.mapping.len()
    }

    /// Returns the offset up to which pages are allocated.
    pub fn allocated(&self) -> usize {
        self.allocated.load(Ordering::Relaxed)
    }

    /// Allocates all missing pages up to the offset `end`.
    ///
    /// # Errors
    /// Returns the errors of
    /// [`fallocate(2)`](https://man7.org/linux/man-pages/man2/fallocate.2.html), for example if no
    /// memory is available.
    pub fn allocate(&self, end: usize) -> io::Result<()> {
        let (mut start, end) = (self.allocated(), end.min(self.len()));
        while start < end {
            // If a signal arrives, the kernel undoes the work of the current call, so each call
            // allocates a small piece.
            let piece = (end - start).min(ALLOCATE_AT_ONCE);
            match rustix::fs::fallocate(
                &self.memory.file,
                FallocateFlags::KEEP_SIZE,
                start as u64,
                piece as u64,
            ) {
                Ok(()) => start += piece,
                Err(Errno::INTR) => continue,
                // A system call filter rejects `fallocate`. The kernel then allocates the pages
                // when they are written.
                Err(Errno::NOSYS | Errno::PERM | Errno::OPNOTSUPP) => start = end,
                Err(error) => return Err(error.into()),
            }
            self.allocated.store(start, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Frees all whole pages from the offset `start` to the end. That range must not be in use.
    pub fn free_from(&self, start: usize) {
        let start = start.next_multiple_of(rustix::param::page_size());
        if self.allocated() > start {
            self.memory.free(start);
            self.allocated.store(start, Ordering::Relaxed);
        }
    }

    /// Copies bytes into the memory at the offset. Returns `false` and copies nothing if the range
    /// isn't within the memory.
    #[must_use]
    pub fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        self.memory.mapping.write(offset, bytes)
    }
}

/// Returns the handle to send to the reader.
impl AsFd for SharedWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.file.as_fd()
    }
}

impl SharedReader {
    /// Maps the memory of another process's [`SharedWriter`], which must have at most `len_max`
    /// bytes.
    ///
    /// # Errors
    /// Returns the handle with the error. The error is `InvalidData` if the handle is not a memory
    /// file, isn't sealed against changing its size, has pages that this process can't free, or is
    /// larger than `len_max`. Otherwise it is the error of `mmap(2)`, or of a system call that
    /// failed for lack of memory or descriptors.
    pub fn new(file: OwnedHandle, len_max: usize) -> Result<Self, (OwnedHandle, io::Error)> {
        match check(file.as_fd(), len_max) {
            Ok(len) => {
                Ok(Self { memory: Memory::new(file, len, false)?, access: ReadAccess::of_system() })
            }
            Err(error) => Err((file, error)),
        }
    }

    /// Appends a copy of a range to `out`. Returns `false` and appends nothing if the memory
    /// doesn't contain the whole range.
    #[must_use]
    pub fn read(&self, offset: usize, len: usize, out: &mut Vec<u8>) -> bool {
        match self.access {
            ReadAccess::Mapping => self.memory.mapping.read(offset, len, out),
            ReadAccess::Call => self.contains(offset, len) && self.append(offset, len, out),
        }
    }

    /// Copies a range to `out`. Returns `false` and copies nothing if the memory doesn't contain
    /// the whole range.
    #[must_use]
    pub fn copy(&self, offset: usize, out: &mut [u8]) -> bool {
        match self.access {
            ReadAccess::Mapping => self.memory.mapping.copy(offset, out),
            ReadAccess::Call => self.contains(offset, out.len()) && self.fill(offset, out),
        }
    }

    /// Appends a range to `out` by `pread(2)`. Returns `false` and appends nothing if the call
    /// fails.
    fn append(&self, offset: usize, len: usize, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        out.resize(start + len, 0);
        let is_read = self.fill(offset, &mut out[start..]);
        if !is_read {
            out.truncate(start);
        }
        is_read
    }

    /// Fills `out` by `pread(2)`. Returns `false` if the call fails.
    fn fill(&self, offset: usize, out: &mut [u8]) -> bool {
        let mut filled = 0;
        while filled < out.len() {
            let rest = &mut out[filled..];
            match retry_on_intr(|| pread(&self.memory.file, &mut *rest, (offset + filled) as u64)) {
                Ok(len @ 1..) => filled += len,
                _ => return false,
            }
        }
        true
    }

    /// Returns whether the memory contains the whole range.
    pub fn contains(&self, offset: usize, len: usize) -> bool {
        self.memory.mapping.contains(offset, len)
    }

    /// Returns the size in bytes, which never changes.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub fn len(&self) -> usize {
        self.memory.mapping.len()
    }
}

impl ReadAccess {
    /// Returns the method that is safe under the system's memory accounting, which is read once. A
    /// process without `/proc` that has not called [`prepare`](crate::prepare) uses `pread(2)`.
    fn of_system() -> Self {
        static ACCESS: OnceLock<ReadAccess> = OnceLock::new();
        *ACCESS.get_or_init(|| match proc::read("/proc/sys/vm/overcommit_memory") {
            Ok(mode) if mode.trim() != "2" => Self::Mapping,
            _ => Self::Call,
        })
    }
}

/// Reads the system's memory accounting mode now, for a process that can't do so later.
pub(crate) fn learn() {
    ReadAccess::of_system();
}

impl Memory {
    /// Maps the file. Returns the file with the error if that fails.
    fn new(file: OwnedFd, len: usize, writable: bool) -> Result<Self, (OwnedFd, io::Error)> {
        match Mapping::new(file.as_fd(), len, writable) {
            Ok(mapping) => Ok(Self { file, mapping, epoch: fork::epoch() }),
            Err(error) => Err((file, error)),
        }
    }

    /// Frees all pages from the offset `start` on, which must be a multiple of the page size.
    fn free(&self, start: usize) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if let Some(len) = self.mapping.len().checked_sub(start).filter(|len| *len > 0) {
            // The seals permit this call. If a system call filter rejects it, the pages stay
            // allocated as long as a process holds the file.
            while rustix::fs::fallocate(&self.file, flags, start as u64, len as u64)
                == Err(Errno::INTR)
            {}
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.epoch == fork::epoch() {
            self.free(0);
        }
    }
}

/// Checks that a handle is memory created by [`SharedWriter`], and returns its size.
fn check(file: BorrowedFd<'_>, len_max: usize) -> io::Result<usize> {
    let invalid = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    device::learn()?;
    if !device::is_memory(&device::stat(file)?) {
        return invalid("shared memory is not a memory file");
    }
    let seals = rustix::fs::fcntl_get_seals(file)?;
    if !seals.contains(SEALS) {
        return invalid("shared memory is not sealed");
    }
    let is_writable = rustix::fs::fcntl_getfl(file)?.contains(OFlags::RDWR);
    if seals.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE) || !is_writable {
        return invalid("the pages of shared memory can't be freed by its reader");
    }
    match usize::try_from(len(file)?) {
        Ok(len) if (1..=len_max).contains(&len) => Ok(len),
        _ => invalid("shared memory is of a wrong size"),
    }
}

/// Changes the size of a memory file.
///
/// # Errors
/// Returns the errors of `ftruncate(2)`, and `FileTooLarge` beyond the file size limit.
pub(crate) fn resize(file: BorrowedFd<'_>, len: u64) -> io::Result<()> {
    within_file_size_limit(|| Ok(rustix::fs::ftruncate(file, len)?))
}

/// Creates an empty memory file that can be sealed and is not executable.
pub(crate) fn create(name: &CStr) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let created = match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // Linux versions before 6.3 don't know the flag `MFD_NOEXEC_SEAL`.
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags),
        created => created,
    };
    created.map_err(failed("memfd_create"))
}

/// Returns the size in bytes of a memory file.
pub(crate) fn len(file: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(stat(file, StatxFlags::SIZE)?.size)
}

/// The required seals: neither the size nor the seals can change. A seal against writing must be
/// absent, because it would prevent freeing pages.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// Bytes allocated by one call. It takes less than a millisecond, so it completes between two
/// signals.
const ALLOCATE_AT_ONCE: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(len: usize) -> (SharedWriter, SharedReader) {
        let writer = SharedWriter::new(len).unwrap();
        let handle = writer.as_fd().try_clone_to_owned().unwrap();
        (writer, SharedReader::new(handle, len).unwrap())
    }

    /// Returns the allocated size of a memory file in bytes.
    fn charged(file: &OwnedFd) -> i64 {
        rustix::fs::fstat(file).unwrap().st_blocks * 512
    }

    fn refusal(file: impl Into<OwnedFd>, len_max: usize) -> String {
        SharedReader::new(file.into(), len_max).unwrap_err().1.to_string()
    }

    #[test]
    fn written_memory_is_read_back() {
        let (writer, reader) = pair(8192);
        assert!(writer.write(8189, b"end"));
        let mut out = b"the ".to_vec();
        assert!(reader.read(8189, 3, &mut out));
        assert_eq!(out, b"the end");
    }

    #[test]
    fn reading_by_call_allocates_no_page_for_a_hole() {
        let (writer, mut reader) = pair(1024 * 1024);
        let file = writer.as_fd().try_clone_to_owned().unwrap();
        assert!(writer.write(4090, b"across a page"));
        let before = charged(&file);
        for access in [ReadAccess::Call, ReadAccess::Mapping] {
            reader.access = access;
            let mut out = b"> ".to_vec();
            assert!(reader.read(4090, 13, &mut out), "{access:?}");
            assert_eq!(out, b"> across a page");
            let mut hole = [1; 9000];
            assert!(reader.copy(500_000, &mut hole), "{access:?}");
            assert_eq!(hole, [0; 9000]);
            for (offset, len) in [(1024 * 1024, 1), (1, usize::MAX), (1024 * 1024 - 8000, 9000)] {
                assert!(!reader.read(offset, len, &mut out), "{access:?}");
            }
            assert!(!reader.copy(1024 * 1024 - 8000, &mut hole), "{access:?}");
            assert_eq!(out, b"> across a page");
            match access {
                ReadAccess::Call => assert_eq!(charged(&file), before),
                ReadAccess::Mapping => assert!(charged(&file) > before),
            }
        }
    }

    #[test]
    fn nothing_outside_is_touched() {
        let (writer, reader) = pair(4096);
        assert!(!writer.write(4095, b"ab"));
        assert!(!writer.write(usize::MAX, b"ab"));
        assert!(!reader.read(4096, 1, &mut Vec::new()));
        assert!(!reader.read(1, usize::MAX, &mut Vec::new()));
    }

    #[test]
    fn memory_that_could_shrink_is_refused() {
        let open = rustix::fs::memfd_create(c"open", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&open, 4096).unwrap();
        assert_eq!(refusal(open, 4096), "shared memory is not sealed");
    }

    #[test]
    fn memory_that_its_reader_could_not_free_is_refused() {
        let sealed = rustix::fs::memfd_create(c"sealed", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&sealed, 4096).unwrap();
        rustix::fs::fcntl_add_seals(&sealed, SealFlags::FUTURE_WRITE | SEALS).unwrap();
        let text = "the pages of shared memory can't be freed by its reader";
        assert_eq!(refusal(sealed, 4096), text);
        let writer = SharedWriter::new(4096).unwrap();
        match crate::sys::directory::open_anew(writer.as_fd(), OFlags::RDONLY) {
            Ok(read_only) => assert_eq!(refusal(read_only, 4096), text),
            Err(error) => println!("skipped: without /proc there is no read-only handle: {error}"),
        }
    }

    #[test]
    fn an_ordinary_file_and_too_large_memory_are_refused() {
        assert_eq!(
            refusal(tempfile::tempfile().unwrap(), 4096),
            "shared memory is not a memory file"
        );
        let large = SharedWriter::new(8192).unwrap();
        let handle = large.as_fd().try_clone_to_owned().unwrap();
        assert_eq!(refusal(handle, 4096), "shared memory is of a wrong size");
    }

    #[test]
    fn pages_are_allocated_as_far_as_they_are_needed_and_freed_again() {
        let (writer, reader) = pair(16 * 1024 * 1024);
        let file = writer.as_fd().try_clone_to_owned().unwrap();
        assert_eq!(charged(&file), 0);
        writer.allocate(100_000).unwrap();
        assert_eq!(charged(&file), 25 * 4096, "100,000 bytes, in whole pages");
        assert!(writer.write(0, &[7; 100_000]));
        writer.free_from(5000);
        assert_eq!((charged(&file), writer.allocated()), (8192, 8192));
        let mut out = Vec::new();
        assert!(reader.read(0, 5000, &mut out));
        assert!(out.iter().all(|byte| *byte == 7));
        writer.free_from(0);
        assert_eq!(charged(&file), 0);
    }

    #[test]
    fn no_memory_stays_charged_after_either_side_ends_while_the_file_is_held() {
        let (writer, reader) = pair(1024 * 1024);
        let kept = writer.as_fd().try_clone_to_owned().unwrap();
        // Reading a hole allocates pages.
        assert!(reader.read(0, 500_000, &mut Vec::new()));
        assert!(charged(&kept) >= 500_000);
        drop(reader);
        assert_eq!(charged(&kept), 0);
        writer.allocate(300_000).unwrap();
        drop(writer);
        assert_eq!(charged(&kept), 0);
    }
}
