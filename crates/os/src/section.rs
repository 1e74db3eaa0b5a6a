//! Sections: memory that processes share.
//!
//! | | |
//! |---|---|
//! | object | a [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html) file |
//! | proof | `F_GET_SEALS` shows seals that no ordinary file has, or `statx` shows the device of memory files |
//! | rights | `read`, `write`, `map` by the access mode, which a process can bypass by opening `/proc/self/fd` anew; `write` and `change` (the content), `resize` (the size) and `seal` by seals, which can't be removed |
//! | `try_clone` | the same memory, offset and flags |
//! | Windows | a section HANDLE, `sh_section` |
//!
//! A process that touches a page of memory which another process has removed by shrinking it is
//! killed by SIGBUS. So a [`Section`] is sealed against changing its size. Memory without that seal
//! has its own type, [`UnsealedSection`], which is only read and written by system calls. Memory
//! that another process can write can't be a `&[u8]`. Only a section that is also sealed against
//! writing can be viewed as a slice ([`Section::view`]); from and to other sections, bytes are
//! copied ([`Section::map`]).

use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::SealFlags;

use crate::handle::impl_handle;
use crate::limits::{file_size_limit, within_file_size_limit};
use crate::sys::DUPLICATE;
use crate::sys::map::{Mapping, View};
use crate::system_call::failed;
use crate::{Borrowed, BorrowedHandle, Declared, Facts, Kind, Object, Rights, memory, mutex};

/// Shared memory of a size that never changes.
#[derive(Debug)]
pub struct Section(OwnedFd);

/// Shared memory whose size any holder may change at any time.
#[derive(Debug)]
pub struct UnsealedSection(OwnedFd);

impl_handle!(
    Section => Declared::kind(Kind::Section).at_most(OF_FIXED_SIZE),
    UnsealedSection => Declared::kind(Kind::Section),
);

const ADD_SEALS: &str = "fcntl(F_ADD_SEALS)";

/// All rights that a section can give, except for changing its size.
const OF_FIXED_SIZE: Rights = Rights::READ
    .union(Rights::WRITE)
    .union(Rights::APPEND)
    .union(Rights::MAP)
    .union(Rights::SEAL)
    .union(Rights::CHANGE);

impl Section {
    /// Makes a section of `len` zero bytes. Pages are allocated only when they are written.
    ///
    /// # Errors
    /// Returns the errors of `memfd_create(2)` and of
    /// [`ftruncate(2)`](https://man7.org/linux/man-pages/man2/ftruncate.2.html).
    pub fn new(len: u64) -> io::Result<Self> {
        UnsealedSection::new(len)?.seal_size()
    }

    /// Makes a section with these bytes, which never change.
    ///
    /// # Errors
    /// Returns the errors of [`Section::new`] and of `write(2)`, for example if no memory is left.
    pub fn frozen(bytes: &[u8]) -> io::Result<Self> {
        let section = UnsealedSection::new(bytes.len() as u64)?;
        section.write(0, bytes)?;
        let section = section.seal_size()?;
        section.freeze()?;
        Ok(section)
    }

    /// Seals the section against writing and against more seals, for all holders and for ever.
    ///
    /// # Errors
    /// `ResourceBusy` while a process has it mapped for writing; `PermissionDenied` if it was
    /// sealed against more seals; the errors of `F_ADD_SEALS` in
    /// [`fcntl(2)`](https://man7.org/linux/man-pages/man2/F_ADD_SEALS.2const.html).
    pub fn freeze(&self) -> io::Result<()> {
        let seals = SealFlags::WRITE | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&self.0, seals).map_err(failed(ADD_SEALS))
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
        let seals = SealFlags::FUTURE_WRITE | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&self.0, seals).map_err(failed(ADD_SEALS))
    }

    /// Returns the content as bytes that never change.
    ///
    /// # Errors
    /// `InvalidInput` unless the section is sealed against writing and shrinking; the errors of
    /// [`mmap(2)`](https://man7.org/linux/man-pages/man2/mmap.2.html).
    pub fn view(&self) -> io::Result<SectionView> {
        View::new(self.0.as_fd()).map(SectionView)
    }

    /// Maps the section, to copy from it and, with the right to write, to it.
    ///
    /// # Errors
    /// `InvalidInput` if it isn't sealed against shrinking, or is empty; the errors of `mmap(2)`.
    pub fn map(&self) -> io::Result<SectionMap> {
        let seals = rustix::fs::fcntl_get_seals(&self.0)?;
        if !seals.contains(SealFlags::SHRINK) {
            let what = "a section is only mapped when it is sealed against shrinking";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        if self.len()? == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an empty section has no map"));
        }
        let access = crate::identify::access_rights(rustix::fs::fcntl_getfl(&self.0)?);
        let no_writers = SealFlags::WRITE | SealFlags::FUTURE_WRITE;
        let writable = access.contains(Rights::WRITE) && !seals.intersects(no_writers);
        let len = usize::try_from(self.len()?).map_err(|_| io::ErrorKind::OutOfMemory)?;
        Ok(SectionMap(Mapping::new(self.0.as_fd(), len, writable)?))
    }
}

impl UnsealedSection {
    /// Makes a section of `len` zero bytes. Pages are allocated only when they are written.
    ///
    /// # Errors
    /// Returns the errors of `memfd_create(2)` and `ftruncate(2)`.
    pub fn new(len: u64) -> io::Result<Self> {
        let section = Self(memory::create(c"section")?);
        section.resize(len)?;
        Ok(section)
    }

    /// Changes the size for all holders of the section. Bytes beyond a smaller size are lost; bytes
    /// added by a larger size are zero.
    ///
    /// # Errors
    /// Returns the errors of `ftruncate(2)`; `PermissionDenied` if a seal forbids it;
    /// `FileTooLarge` beyond the limit of file sizes (`RLIMIT_FSIZE`).
    pub fn resize(&self, len: u64) -> io::Result<()> {
        memory::resize(self.0.as_fd(), len)
    }

    /// Fixes the size for ever.
    ///
    /// # Errors
    /// Returns the errors of `F_ADD_SEALS`; `PermissionDenied` if it was sealed against more seals.
    pub fn seal_size(self) -> io::Result<Section> {
        let fixed = SealFlags::SHRINK | SealFlags::GROW;
        rustix::fs::fcntl_add_seals(&self.0, fixed).map_err(failed(ADD_SEALS))?;
        Ok(Section(self.0))
    }
}

macro_rules! impl_section {
    ($type:ident) => {
        impl $type {
            /// Returns the current size in bytes.
            ///
            /// # Errors
            /// Returns the errors of `statx(2)`.
            #[expect(
                clippy::len_without_is_empty,
                reason = "a question to the kernel, not a field"
            )]
            pub fn len(&self) -> io::Result<u64> {
                memory::len(self.0.as_fd())
            }

            /// Copies bytes from the section, by a system call.
            ///
            /// # Errors
            /// `UnexpectedEof` beyond the end; the errors of
            /// [`pread(2)`](https://man7.org/linux/man-pages/man2/pread.2.html).
            pub fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
                as_file(&self.0).read_exact_at(out, offset)
            }

            /// Copies bytes into the section, by a system call.
            ///
            /// # Errors
            /// Returns the errors of `pwrite(2)`; `PermissionDenied` if a seal forbids writing, or
            /// growing beyond the end; `FileTooLarge` beyond the limit of file sizes
            /// (`RLIMIT_FSIZE`).
            pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
                let end = offset.saturating_add(bytes.len() as u64);
                let write = || as_file(&self.0).write_all_at(bytes, offset);
                match file_size_limit() {
                    Some(limit) if end > limit => within_file_size_limit(write),
                    _ => write(),
                }
            }

            /// Returns a second handle to the same memory.
            ///
            /// # Errors
            /// Fails if no descriptor is left.
            pub fn try_clone(&self) -> io::Result<Self> {
                self.0.try_clone().map(Self).map_err(failed(DUPLICATE))
            }
        }

        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl From<OwnedFd> for $type {
            fn from(handle: OwnedFd) -> Self {
                Self(handle)
            }
        }

        impl From<$type> for OwnedFd {
            fn from(section: $type) -> Self {
                section.0
            }
        }
    };
}
impl_section!(Section);
impl_section!(UnsealedSection);

/// The bytes of a section whose content never changes.
#[derive(Debug)]
pub struct SectionView(View);

impl Deref for SectionView {
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
/// own, maps the section itself: it passes the descriptor (`AsFd`) to `mmap`, with a crate such as
/// `memmap2` (`MmapRaw`) or `rustix`, and accesses the memory only as atomics. That takes `unsafe`,
/// whose proof rests on two facts: a [`Section`] never shrinks, and another process may write at
/// any time. An event or a semaphore next to the section needs no such code.
#[derive(Debug)]
pub struct SectionMap(Mapping);

impl SectionMap {
    pub(crate) fn of(mapping: Mapping) -> Self {
        Self(mapping)
    }

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

/// Returns the object that memory is, and the rights to it, by its access mode and its seals.
pub(crate) fn memory_facts(
    handle: BorrowedHandle<'_>,
    access: Rights,
    seals: SealFlags,
) -> io::Result<Facts> {
    if mutex::is_mutex(handle, access, seals)? {
        return Ok(Facts { object: Object::Mutex, rights: Rights::WAIT | Rights::SIGNAL });
    }
    let mut rights = access;
    rights.set(Rights::MAP, access.contains(Rights::READ));
    // Seals can be added only through handles that can write.
    let may_seal = access.contains(Rights::APPEND) && !seals.contains(SealFlags::SEAL);
    rights.set(Rights::SEAL, may_seal);
    rights.set(Rights::RESIZE, !seals.contains(SealFlags::SHRINK | SealFlags::GROW));
    rights.set(Rights::CHANGE, !seals.contains(SealFlags::WRITE));
    if seals.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE) {
        rights.remove(Rights::WRITE | Rights::APPEND);
    }
    Ok(Facts { object: Object::Memory, rights })
}

fn as_file(section: &OwnedFd) -> Borrowed<'_, std::fs::File> {
    Borrowed::new(section.as_fd())
}

fn outside() -> io::Error {
    let what = "the range isn't all within what the section lets be read or written";
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Handle, identify, prove};

    fn rights(section: &dyn AsFd) -> Rights {
        let facts = identify(section.as_fd()).unwrap();
        assert_eq!(facts.object, Object::Memory);
        facts.rights
    }

    const READ_AND_WRITE: Rights = Rights::READ.union(Rights::WRITE).union(Rights::APPEND);

    #[test]
    fn seals_are_rights() {
        let open = UnsealedSection::new(8).unwrap();
        let section_rights = Rights::MAP | Rights::SEAL | Rights::CHANGE;
        assert_eq!(rights(&open), READ_AND_WRITE | section_rights | Rights::RESIZE);
        let section = open.seal_size().unwrap();
        assert_eq!(rights(&section), READ_AND_WRITE | section_rights);
        section.freeze().unwrap();
        assert_eq!(rights(&section), Rights::READ | Rights::MAP);
    }

    #[test]
    fn a_section_is_only_one_whose_size_is_sealed() {
        let open = UnsealedSection::new(8).unwrap();
        assert!(prove(open.as_fd(), &UnsealedSection::DECLARED).is_ok());
        let facts = identify(open.as_fd()).unwrap();
        let error = Section::DECLARED.check(&facts).unwrap_err().to_string();
        assert!(error.contains("got memory whose size isn't sealed"), "{error}");
        let section = open.seal_size().unwrap();
        assert!(prove(section.as_fd(), &Section::DECLARED).is_ok());
        assert!(prove(Section::frozen(b"x").unwrap().as_fd(), &Section::DECLARED).is_ok());
    }

    #[test]
    fn a_frozen_section_is_viewed_and_never_written() {
        let section = Section::frozen(b"forever").unwrap();
        let view = section.view().unwrap();
        assert_eq!(&*view, b"forever");
        assert!(section.write(0, b"never").is_err());
        assert!(section.map().unwrap().write(0, b"never").is_err());
        assert!(Section::frozen(b"").unwrap().view().unwrap().is_empty());
    }

    #[test]
    fn a_section_that_can_change_is_copied_but_not_viewed() {
        let section = Section::new(4096).unwrap();
        assert!(section.view().is_err());
        let map = section.map().unwrap();
        map.write(4093, b"end").unwrap();
        let mut out = [0; 3];
        section.read(4093, &mut out).unwrap();
        assert_eq!(&out, b"end");
        section.write(0, b"start").unwrap();
        map.read(0, &mut out).unwrap();
        assert_eq!(&out, b"sta");
        assert!(map.read(4094, &mut out).is_err());
        assert!(map.write(usize::MAX, b"x").is_err());
    }

    #[test]
    fn an_empty_section_has_no_map() {
        let error = Section::new(0).unwrap().map().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "an empty section has no map");
    }

    #[test]
    fn an_unsealed_section_changes_its_size_and_is_never_mapped() {
        let section = UnsealedSection::new(8).unwrap();
        section.resize(2).unwrap();
        assert_eq!(section.len().unwrap(), 2);
        assert!(section.read(0, &mut [0; 3]).is_err());
        let unproven = Section::from(OwnedFd::from(section));
        assert!(unproven.map().is_err() && unproven.view().is_err());
    }

    #[test]
    fn a_frozen_section_is_still_written_through_existing_maps() {
        let section = Section::new(4096).unwrap();
        let map = section.map().unwrap();
        section.freeze_for_others().unwrap();
        assert_eq!(rights(&section), Rights::READ | Rights::MAP | Rights::CHANGE);

        let received = section.try_clone().unwrap();
        assert!(received.write(0, b"x").is_err() && received.view().is_err());
        let theirs = received.map().unwrap();
        assert!(theirs.write(0, b"x").is_err());
        map.write(0, b"news").unwrap();
        let mut out = [0; 4];
        theirs.read(0, &mut out).unwrap();
        assert_eq!(&out, b"news");

        let read_only = Rights::READ | Rights::MAP;
        let declared = Section::DECLARED.and(Declared::kind(Kind::Section).at_most(read_only));
        assert!(prove(section.as_fd(), &declared).is_err(), "its content changes");
        let changing = Declared::kind(Kind::Section).at_most(read_only | Rights::CHANGE);
        assert!(prove(section.as_fd(), &Section::DECLARED.and(changing)).is_ok());
        let writable = Section::new(8).unwrap();
        assert!(prove(writable.as_fd(), &Section::DECLARED.and(changing)).is_err());
    }

    #[test]
    fn a_section_that_is_mapped_for_writing_is_not_frozen() {
        let section = Section::new(4096).unwrap();
        let map = section.map().unwrap();
        assert_eq!(section.freeze().unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        drop(map);
        section.freeze().unwrap();
    }
}
