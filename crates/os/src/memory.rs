//! Memory that one process writes and another reads, for values too large for a message.
//!
//! The writer makes it, of a fixed size and sealed so that it stays that size, and sends its
//! handle once. The reader checks just that before it maps it, read-only, and then only ever copies
//! out: what it decodes can't change under it.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, StatxFlags};
use rustix::io::Errno;

use crate::device;
use crate::sys::{map::Mapping, stat::stat};

/// The writing side of shared memory.
#[derive(Debug)]
pub struct SharedWriter {
    file: OwnedFd,
    mapping: Mapping,
}

/// The reading side of shared memory.
#[derive(Debug)]
pub struct SharedReader {
    mapping: Mapping,
    len: usize,
}

impl SharedWriter {
    /// Makes `len` bytes of shared memory. Pages are only taken as they are written.
    ///
    /// # Errors
    /// Those of [`memfd_create(2)`](https://man7.org/linux/man-pages/man2/memfd_create.2.html) and
    /// `mmap(2)`.
    pub fn new(len: usize) -> io::Result<Self> {
        let file = create(c"syshandle")?;
        rustix::fs::ftruncate(&file, len as u64)?;
        rustix::fs::fcntl_add_seals(&file, SEALS)?;
        let mapping = Mapping::new(file.as_fd(), len, true)?;
        Ok(Self { file, mapping })
    }

    /// Copies bytes into the memory; `false`, and nothing copied, when they don't fit there.
    #[must_use]
    pub fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        self.mapping.write(offset, bytes)
    }
}

/// The handle to send to the reader.
impl AsFd for SharedWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl SharedReader {
    /// Maps memory that another process made with [`SharedWriter`], of at most `len_max` bytes. The
    /// handle isn't needed afterwards.
    ///
    /// # Errors
    /// `InvalidData` when the handle is no memory file, isn't sealed against changing its size, or
    /// is larger; else those of `mmap(2)`.
    pub fn new(file: BorrowedFd<'_>, len_max: usize) -> io::Result<Self> {
        let invalid = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        if !device::is_memory(&device::stat(file)?) {
            return invalid("shared memory is not a memory file");
        }
        if !rustix::fs::fcntl_get_seals(file)?.contains(SEALS) {
            return invalid("shared memory is not sealed");
        }
        let len = match usize::try_from(len(file)?) {
            Ok(len) if (1..=len_max).contains(&len) => len,
            _ => return invalid("shared memory is of a wrong size"),
        };
        let mapping = Mapping::new(file, len, false)?;
        Ok(Self { mapping, len })
    }

    /// Appends a copy of a range to `out`; `false`, and nothing appended, when it isn't all there.
    #[must_use]
    pub fn read(&self, offset: usize, len: usize, out: &mut Vec<u8>) -> bool {
        self.mapping.read(offset, len, out)
    }

    /// Copies a range to `out`; `false`, and nothing copied, when it isn't all there.
    #[must_use]
    pub fn copy(&self, offset: usize, out: &mut [u8]) -> bool {
        self.mapping.copy(offset, out)
    }

    /// Whether a range is all there.
    pub fn contains(&self, offset: usize, len: usize) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.len)
    }

    /// The size in bytes, which never changes.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }
}

/// Makes a memory file of no size yet, which can be sealed and not executed.
pub(crate) fn create(name: &CStr) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // Linux 6.3 knows of files that can't be executed.
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags)?,
        created => created?,
    })
}

/// The size in bytes of a memory file.
pub(crate) fn len(file: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(stat(file, StatxFlags::SIZE)?.size)
}

/// The size is fixed, and so are the seals.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let writer = SharedWriter::new(8192).unwrap();
        let reader = SharedReader::new(writer.as_fd(), 8192).unwrap();
        assert!(writer.write(8189, b"end"));
        let mut out = b"the ".to_vec();
        assert!(reader.read(8189, 3, &mut out));
        assert_eq!(out, b"the end");
    }

    #[test]
    fn nothing_outside_is_touched() {
        let writer = SharedWriter::new(4096).unwrap();
        let reader = SharedReader::new(writer.as_fd(), 4096).unwrap();
        assert!(!writer.write(4095, b"ab"));
        assert!(!writer.write(usize::MAX, b"ab"));
        assert!(!reader.read(4096, 1, &mut Vec::new()));
        assert!(!reader.read(1, usize::MAX, &mut Vec::new()));
    }

    #[test]
    fn memory_that_could_shrink_is_refused() {
        let open = rustix::fs::memfd_create(c"open", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&open, 4096).unwrap();
        let error = SharedReader::new(open.as_fd(), 4096).unwrap_err();
        assert_eq!(error.to_string(), "shared memory is not sealed");
    }

    #[test]
    fn an_ordinary_file_and_too_large_memory_are_refused() {
        let file = tempfile::tempfile().unwrap();
        assert!(SharedReader::new(file.as_fd(), 4096).is_err());
        let large = SharedWriter::new(8192).unwrap();
        assert!(SharedReader::new(large.as_fd(), 4096).is_err());
    }
}
