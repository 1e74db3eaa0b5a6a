//! Sections: memory that processes share.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | a [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html) file | a [section](https://learn.microsoft.com/windows/win32/memory/file-mapping), also called file mapping, backed by the paging file |
//! | proof | `F_GET_SEALS` shows seals that not a regular file has, or `statx` shows the device of memory files | the object's type is `Section` |
//! | rights | `read`, `write`, `map` by the access mode, which a process can bypass by opening `/proc/self/fd` anew; `write` and `change` (the content), `resize` (the size) and `seal` by seals, which can't be removed | `read` and `map` (`SECTION_MAP_READ`), `write` (`SECTION_MAP_WRITE`): enforced by the kernel on the handle. Every section has `change`, because another handle may have more rights. No section can shrink |
//! | `try_clone` | the same memory, offset and flags | the same memory |
//! | MIDL | | `sh_section` |
//!
//! On Linux, a process that touches a page of memory which another process has removed by shrinking it is
//! killed by SIGBUS. So a [`Section`] is sealed against changing its size. Memory without that seal
//! has its own type, [`UnsealedSection`](crate::UnsealedSection), which is only read and written by system calls. Memory
//! that another process can write can't be a `&[u8]`. Only a section that is also sealed against
//! writing can be viewed as a slice ([`Section::view`]); from and to other sections, bytes are
//! copied ([`Section::map`]).
//!
//! Windows has no seals, so a section that no process can write any more can't be told from others.
//! Therefore its bytes can only be copied, not viewed as a slice.

use std::io;

use crate::owned::impl_owned;
use crate::{Handle, OwnedHandle, sys};

/// Memory that processes share, of a size that never changes.
#[derive(Debug)]
pub struct Section(OwnedHandle);

impl_owned!(Section, "memory", sys::section::DECLARATION);

impl Section {
    /// Makes a section of `len` zero bytes. On Linux, pages are allocated only when they are written.
    /// On Windows, the length is rounded up to whole pages.
    ///
    /// # Errors
    /// Returns the errors of `memfd_create(2)` and of
    /// [`ftruncate(2)`](https://man7.org/linux/man-pages/man2/ftruncate.2.html) on Linux, and of
    /// `CreateFileMapping` on Windows; `InvalidInput` for a length of zero on Windows.
    pub fn new(len: u64) -> io::Result<Self> {
        sys::section::create(len).map(Self)
    }

    /// Makes a section with these bytes. On Linux, they never change. On Windows, the handle can't
    /// write, and neither can handles that are duplicated from it.
    ///
    /// # Errors
    /// Returns the errors of [`Section::new`] and of writing, for example if no memory is left, and
    /// of `DuplicateHandle` on Windows.
    pub fn frozen(bytes: &[u8]) -> io::Result<Self> {
        let section = Self::new(bytes.len() as u64)?;
        section.write(0, bytes)?;
        sys::section::freeze_new(section.0).map(Self)
    }

    /// Returns the size in bytes.
    ///
    /// # Errors
    /// Returns the errors of `statx(2)` on Linux, and of `NtQuerySection` on Windows, for example if
    /// the handle lacks the right.
    #[expect(clippy::len_without_is_empty, reason = "a question to the kernel, not a field")]
    pub fn len(&self) -> io::Result<u64> {
        sys::section::len(self.as_handle())
    }

    /// Maps the section into this process's memory, to copy from it and, with the right to write, to
    /// it.
    ///
    /// # Errors
    /// Returns the errors of `mmap(2)` on Linux, and of `MapViewOfFile` on Windows; `InvalidInput` on
    /// Linux if the section isn't sealed against shrinking, or is empty.
    pub fn map(&self) -> io::Result<SectionMap> {
        sys::section::map(self.as_handle()).map(SectionMap)
    }

    /// Copies bytes from the section.
    ///
    /// # Errors
    /// Beyond the end, `UnexpectedEof` on Linux and `InvalidInput` on Windows; the errors of
    /// [`pread(2)`](https://man7.org/linux/man-pages/man2/pread.2.html) on Linux, and of mapping the
    /// section on Windows.
    pub fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        sys::section::read(self.as_handle(), offset, out)
    }

    /// Copies bytes into the section.
    ///
    /// # Errors
    /// On Linux: the errors of `pwrite(2)`; `PermissionDenied` if a seal forbids writing, or growing
    /// beyond the end; `FileTooLarge` beyond the limit of file sizes (`RLIMIT_FSIZE`). On Windows:
    /// `InvalidInput` beyond the end, or if the handle may not write; the errors of mapping the
    /// section.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        sys::section::write(self.as_handle(), offset, bytes)
    }
}

/// Linux only: seals.
#[cfg(not(windows))]
impl Section {
    /// Seals the section against writing and against more seals, for all holders and for ever.
    ///
    /// # Errors
    /// `ResourceBusy` while a process has it mapped for writing; `PermissionDenied` if it was
    /// sealed against more seals; the errors of `F_ADD_SEALS` in
    /// [`fcntl(2)`](https://man7.org/linux/man-pages/man2/F_ADD_SEALS.2const.html).
    pub fn freeze(&self) -> io::Result<()> {
        sys::section::freeze(self.as_handle())
    }

    /// Seals the section against new ways to write and against more seals, for all holders and for
    /// ever. Mappings for writing that exist now stay writable. So its owner can continue to write
    /// through its [`SectionMap`], while the processes that receive the section can only read.
    ///
    /// The content can still change. So the section can't become a [`SectionView`], and a receiver
    /// declares `at_most = read | map | change`.
    ///
    /// # Errors
    /// `PermissionDenied` if it was sealed against more seals; the errors of `F_ADD_SEALS` in
    /// [`fcntl(2)`](https://man7.org/linux/man-pages/man2/F_ADD_SEALS.2const.html).
    pub fn freeze_for_others(&self) -> io::Result<()> {
        sys::section::freeze_for_others(self.as_handle())
    }

    /// Returns the content as bytes that never change.
    ///
    /// # Errors
    /// `InvalidInput` unless the section is sealed against writing and shrinking; the errors of
    /// [`mmap(2)`](https://man7.org/linux/man-pages/man2/mmap.2.html).
    pub fn view(&self) -> io::Result<SectionView> {
        sys::map::View::new(self.as_handle()).map(SectionView)
    }
}

/// Linux only: the bytes of a section whose content never changes.
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

/// A section that is mapped into this process's memory, for copying from and to it.
///
/// Other processes may write at any time. A copy made during such a write is a mixture of old and
/// new bytes.
///
/// There are no atomic operations on it. A program that needs them, for a ring or a lock of its
/// own, maps the section itself: on Linux, it passes the descriptor (`AsFd`) to `mmap`, with a crate such as
/// `memmap2` (`MmapRaw`) or `rustix`, and accesses the memory only as atomics. That takes `unsafe`,
/// whose proof rests on two facts: a [`Section`] never shrinks, and another process may write at
/// any time. An event or a semaphore next to the section needs no such code.
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
    /// `InvalidInput`, with nothing copied, unless the section contains the whole range.
    pub fn read(&self, offset: usize, out: &mut [u8]) -> io::Result<()> {
        match self.0.copy(offset, out) {
            true => Ok(()),
            false => Err(outside(io::ErrorKind::InvalidInput)),
        }
    }

    /// Copies bytes into the section.
    ///
    /// # Errors
    /// `InvalidInput`, with nothing copied, unless the section contains the whole range and may be
    /// written.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        match self.0.write(offset, bytes) {
            true => Ok(()),
            false => Err(outside(io::ErrorKind::InvalidInput)),
        }
    }
}

/// Returns the error for a range that can't be read or written.
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
        assert!(section.write(section.len().unwrap() - 1, b"ab").is_err());
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
