//! Sections: memory that processes share.
//!
//! | | |
//! |---|---|
//! | object | a [section](https://learn.microsoft.com/windows/win32/memory/file-mapping), also called file mapping, backed by the paging file |
//! | proof | the object's type is `Section` |
//! | rights | `read` and `map` (`SECTION_MAP_READ`), `write` (`SECTION_MAP_WRITE`): enforced by the kernel on the handle. Every section has `change`, because another handle may have more rights. No section can shrink |
//! | `try_clone` | the same memory |
//! | MIDL | `sh_section` |
//!
//! Windows has no seals, so a section that no process can write any more can't be told from others.
//! Therefore its bytes can only be copied, not viewed as a slice.

use std::io;
use std::os::windows::io::AsHandle;

use super::handle::impl_owned;
use crate::sys::section::{self, Mapping};
use crate::{Declared, Kind, OwnedHandle};

/// Memory that processes share, of a size that never changes.
#[derive(Debug)]
pub struct Section(OwnedHandle);

impl_owned!(Section, "memory", Declared::kind(Kind::Section));

impl Section {
    /// Makes a section of `len` zero bytes, rounded up to whole pages.
    ///
    /// # Errors
    /// `InvalidInput` for a length of zero; the errors of `CreateFileMapping`.
    pub fn new(len: u64) -> io::Result<Self> {
        Ok(Self(section::create(len)?))
    }

    /// Makes a section with these bytes and a handle to it that can't write. No handle that is
    /// duplicated from this one can write either.
    ///
    /// # Errors
    /// Returns the errors of [`Section::new`] and of `DuplicateHandle`.
    pub fn frozen(bytes: &[u8]) -> io::Result<Self> {
        let section = Self::new(bytes.len() as u64)?;
        section.write(0, bytes)?;
        Ok(Self(section::read_only(section.0.as_handle())?))
    }

    /// Returns the size in bytes.
    ///
    /// # Errors
    /// Returns the errors of `NtQuerySection`, for example if the handle lacks the right.
    #[expect(clippy::len_without_is_empty, reason = "a question to the kernel, not a field")]
    pub fn len(&self) -> io::Result<u64> {
        section::len(self.0.as_handle())
    }

    /// Maps the section into this process's memory, for writing too if the handle has that right.
    ///
    /// # Errors
    /// Returns the errors of `MapViewOfFile`.
    pub fn map(&self) -> io::Result<SectionMap> {
        Ok(SectionMap(Mapping::new(self.0.as_handle())?))
    }

    /// Copies bytes from the section.
    ///
    /// # Errors
    /// `InvalidInput` beyond the end; the errors of mapping the section.
    pub fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.map()?.read(usize::try_from(offset).unwrap_or(usize::MAX), out)
    }

    /// Copies bytes into the section.
    ///
    /// # Errors
    /// `InvalidInput` beyond the end, or if the handle may not write; the errors of mapping the
    /// section.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.map()?.write(usize::try_from(offset).unwrap_or(usize::MAX), bytes)
    }
}

/// A section that is mapped into this process's memory, for copying from and to it.
///
/// Other processes may write at any time. A copy made during such a write is a mixture of old and
/// new bytes.
#[derive(Debug)]
pub struct SectionMap(Mapping);

impl SectionMap {
    /// Returns the size in bytes, which is never zero.
    #[expect(clippy::len_without_is_empty, reason = "what is mapped is never empty")]
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
            false => Err(outside()),
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
            false => Err(outside()),
        }
    }
}

fn outside() -> io::Error {
    let what = "past the end of the section, or it may not be written";
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Handle, Rights, identify};

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
    fn a_frozen_section_can_t_be_written_by_its_handle() {
        let section = Section::frozen(b"frozen").unwrap();
        let mut bytes = [0; 6];
        section.read(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"frozen");
        assert!(section.write(0, b"F").is_err());
        let rights = identify(Handle::as_handle(&section)).unwrap().rights;
        assert_eq!(rights, Rights::READ | Rights::MAP | Rights::CHANGE);
    }
}
