//! Sections: memory that processes share.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | a [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html) file | a [section](https://learn.microsoft.com/windows/win32/memory/file-mapping), also called file mapping, backed by the paging file |
//! | proof | `F_GET_SEALS` shows seals that a regular file can't have, or `statx` shows the device of memory files | the object's type is `Section` |
//! | rights | `read`, `write` and `map` by the access mode, which a process can bypass by reopening `/proc/self/fd`; `write` and `change` (the content), `resize` (the size) and `seal` by seals, which can't be removed | `read` and `map` (`SECTION_MAP_READ`), `write` (`SECTION_MAP_WRITE`): enforced by the kernel on the handle. Every section has `change`, because another handle may have more rights. No section can shrink |
//! | `try_clone` | the same memory, offset and flags | the same memory |
//! | MIDL | | `sh_section` |
//!
//! On Linux, if one process shrinks a memory file, any process that touches a removed page of its
//! mapping is killed by SIGBUS. So a [`Section`] is sealed against changing its size. Memory
//! without that seal has its own type, [`UnsealedSection`](crate::UnsealedSection), which is read
//! and written only by system calls. Memory that another process can write can't be a `&[u8]`. So
//! only a section that is also sealed against writing can be viewed as a slice ([`Section::view`]).
//! From and to other sections, bytes are copied ([`Section::map`]).
//!
//! Windows has no seals, so there is no way to tell that no process can write to a section.
//! Therefore its bytes can only be copied, not viewed as a slice.

use std::io;

use crate::owned::impl_owned;
use crate::{Handle, OwnedHandle, sys};

/// Memory of fixed size that several processes can share.
#[derive(Debug)]
pub struct Section(OwnedHandle);

impl_owned!(Section, "memory", sys::section::DECLARATION);

impl Section {
    /// Creates a section of `len` zero bytes. On Linux, pages are allocated only when they are
    /// written. On Windows, the length is rounded up to whole pages.
    ///
    /// # Errors
    /// Returns the errors of `memfd_create(2)` and
    /// [`ftruncate(2)`](https://man7.org/linux/man-pages/man2/ftruncate.2.html) on Linux, and of
    /// `CreateFileMapping` on Windows. On Windows, a length of zero is `InvalidInput`.
    pub fn new(len: u64) -> io::Result<Self> {
        sys::section::create(len).map(Self)
    }

    /// Creates a read-only section with these bytes. On Linux, the bytes never change. On Windows,
    /// neither this handle nor its duplicates permit writing.
    ///
    /// # Errors
    /// Returns the errors of [`Section::new`] and of writing, for example if no memory is
    /// available, and of `DuplicateHandle` on Windows.
    pub fn frozen(bytes: &[u8]) -> io::Result<Self> {
        let section = Self::new(bytes.len() as u64)?;
        section.write(0, bytes)?;
        sys::section::freeze_new(section.0).map(Self)
    }

    /// Returns the size in bytes.
    ///
    /// # Errors
    /// Returns the errors of `statx(2)` on Linux, and of `NtQuerySection` on Windows, for example
    /// if the handle lacks the right.
    #[expect(clippy::len_without_is_empty, reason = "`len` makes a kernel query")]
    pub fn len(&self) -> io::Result<u64> {
        sys::section::len(self.as_handle())
    }

    /// Maps the section into this process's memory. The mapping copies from the section and, with
    /// the right to write, to it.
    ///
    /// # Errors
    /// Returns the errors of `mmap(2)` on Linux, and of `MapViewOfFile` on Windows. On Linux,
    /// returns `InvalidInput` if the section isn't sealed against shrinking, or is empty.
    pub fn map(&self) -> io::Result<SectionMap> {
        sys::section::map(self.as_handle()).map(SectionMap)
    }

    /// Copies bytes from the section.
    ///
    /// # Errors
    /// Beyond the end of the section, `UnexpectedEof` on Linux and `InvalidInput` on Windows.
    /// Otherwise the errors of [`pread(2)`](https://man7.org/linux/man-pages/man2/pread.2.html) on
    /// Linux, and of mapping the section on Windows.
    pub fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        sys::section::read(self.as_handle(), offset, out)
    }

    /// Copies bytes into the section.
    ///
    /// # Errors
    /// On Linux: the errors of `pwrite(2)`; `PermissionDenied` if a seal prevents writing, or
    /// writing beyond the end; `FileTooLarge` beyond the file size limit (`RLIMIT_FSIZE`). On
    /// Windows: `InvalidInput` beyond the end, or if the handle doesn't permit writing; the errors
    /// of mapping the section.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        sys::section::write(self.as_handle(), offset, bytes)
    }
}

/// Linux only: adding seals.
#[cfg(not(windows))]
impl Section {
    /// Permanently seals the section against writing and against more seals, for all holders.
    ///
    /// # Errors
    /// `ResourceBusy` while a process has the section mapped for writing; `PermissionDenied` if it
    /// was sealed against more seals; the errors of `F_ADD_SEALS` in
    /// [`fcntl(2)`](https://man7.org/linux/man-pages/man2/F_ADD_SEALS.2const.html).
    pub fn freeze(&self) -> io::Result<()> {
        sys::section::freeze(self.as_handle())
    }

    /// Permanently seals the section against new writable mappings, against writes by system calls,
    /// and against more seals, for all holders. Existing writable mappings remain writable. So the
    /// owner can continue to write through its [`SectionMap`], while processes that receive the
    /// section can only read it.
    ///
    /// The content can still change. So the section can't become a [`SectionView`], and a receiver
    /// must permit `change`: `at_most = read | map | change`.
    ///
    /// # Errors
    /// `PermissionDenied` if the section was sealed against more seals; the errors of `F_ADD_SEALS`
    /// in [`fcntl(2)`](https://man7.org/linux/man-pages/man2/F_ADD_SEALS.2const.html).
    pub fn freeze_for_others(&self) -> io::Result<()> {
        sys::section::freeze_for_others(self.as_handle())
    }

    /// Maps the content as a byte slice. Requires a section that is sealed against writing and
    /// shrinking.
    ///
    /// # Errors
    /// `InvalidInput` if the section lacks one of these seals; the errors of
    /// [`mmap(2)`](https://man7.org/linux/man-pages/man2/mmap.2.html).
    pub fn view(&self) -> io::Result<SectionView> {
        sys::map::View::new(self.as_handle()).map(SectionView)
    }
}

/// Linux only: the mapped bytes of a section whose content never changes.
#[cfg(not(windows))]
#[derive(Debug)]
pub struct SectionView(sys::map::View);

#[cfg(not(windows))]
impl std::ops::Deref for SectionView {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// A section mapped into this process's memory. Its bytes can be copied from and to the mapping.
///
/// Other processes may write at any time. A copy made during such a write can contain both old and
/// new bytes.
///
/// The mapping has no atomic operations. A program that needs them, for its own ring buffer or
/// lock, maps the section itself: on Linux, it passes the descriptor (`AsFd`) to `mmap`, with a
/// crate such as `memmap2` (`MmapRaw`) or `rustix`, and accesses the memory only as atomics. That
/// requires `unsafe`, whose safety depends on two facts: a [`Section`] never shrinks, and another
/// process may write at any time. No such code is needed for an event or a semaphore, which a
/// program can pass along with the section.
#[derive(Debug)]
pub struct SectionMap(sys::section::Mapping);

impl SectionMap {
    #[cfg(not(windows))]
    pub(crate) fn of(mapping: sys::section::Mapping) -> Self {
        Self(mapping)
    }

    /// Returns the size in bytes, which is never zero.
    #[expect(clippy::len_without_is_empty, reason = "a mapping is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Copies bytes from the section.
    ///
    /// # Errors
    /// `InvalidInput` if the section doesn't contain the whole range. Nothing is copied then.
    pub fn read(&self, offset: usize, out: &mut [u8]) -> io::Result<()> {
        match self.0.copy(offset, out) {
            true => Ok(()),
            false => Err(outside(io::ErrorKind::InvalidInput)),
        }
    }

    /// Copies bytes into the section.
    ///
    /// # Errors
    /// `InvalidInput` if the section doesn't contain the whole range, or is mapped read-only.
    /// Nothing is copied then.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        match self.0.write(offset, bytes) {
            true => Ok(()),
            false => Err(outside(io::ErrorKind::InvalidInput)),
        }
    }
}

/// Returns the error for a range that is outside the section or not writable.
pub(crate) fn outside(kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, "the range is outside of the section, or the section is read-only")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_through_one_handle_are_visible_through_another() {
        let section = Section::new(4096).unwrap();
        section.write(10, b"sparkly").unwrap();
        let mut bytes = [0; 7];
        section.try_clone().unwrap().read(10, &mut bytes).unwrap();
        assert_eq!(&bytes, b"sparkly");
        let error = section.write(section.len().unwrap() - 1, b"ab").unwrap_err();
        assert!(error.to_string().contains("outside of the section"), "{error}");
    }

    #[test]
    fn a_frozen_section_is_not_written_by_its_handle() {
        let section = Section::frozen(b"frozen").unwrap();
        let mut bytes = [0; 6];
        section.read(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"frozen");
        assert!(section.write(0, b"F").is_err());
        let error = section.map().unwrap().write(0, b"F").unwrap_err();
        assert_eq!(error.to_string(), outside(error.kind()).to_string());
    }

    #[test]
    fn a_range_beyond_the_end_is_an_error_with_one_text() {
        let section = Section::new(4096).unwrap();
        let text = outside(io::ErrorKind::Other).to_string();
        let mut out = [0; 2];
        assert_eq!(section.read(4095, &mut out).unwrap_err().to_string(), text);
        assert_eq!(section.map().unwrap().read(4095, &mut out).unwrap_err().to_string(), text);
    }
}
