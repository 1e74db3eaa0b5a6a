//! Sections, which are memory files.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::SealFlags;

use super::identify::access_rights;
pub(crate) use super::map::Mapping;
use super::mutex;
use crate::limits::{file_size_limit, within_file_size_limit};
use crate::section::outside;
use crate::system_call::failed;
use crate::{BorrowedHandle, Declaration, Facts, HandleRef, Kind, Object, Rights, memory};

/// The declaration of a section, which requires a sealed size.
pub(crate) const DECLARATION: Declaration = Declaration::kind(Kind::Section).at_most(OF_FIXED_SIZE);

/// All rights that a section can have, except for changing its size.
const OF_FIXED_SIZE: Rights = Rights::READ
    .union(Rights::WRITE)
    .union(Rights::APPEND)
    .union(Rights::MAP)
    .union(Rights::SEAL)
    .union(Rights::CHANGE);

pub(crate) fn create(len: u64) -> io::Result<OwnedFd> {
    let section = create_unsealed(len)?;
    seal_size(section.as_fd())?;
    Ok(section)
}

pub(crate) fn create_unsealed(len: u64) -> io::Result<OwnedFd> {
    let section = memory::create(c"section")?;
    memory::resize(section.as_fd(), len)?;
    Ok(section)
}

/// Seals a new section against writing.
pub(crate) fn freeze_new(section: OwnedFd) -> io::Result<OwnedFd> {
    freeze(section.as_fd())?;
    Ok(section)
}

pub(crate) fn freeze(section: BorrowedFd<'_>) -> io::Result<()> {
    seal(section, SealFlags::WRITE | SealFlags::SEAL)
}

pub(crate) fn freeze_for_others(section: BorrowedFd<'_>) -> io::Result<()> {
    seal(section, SealFlags::FUTURE_WRITE | SealFlags::SEAL)
}

pub(crate) fn seal_size(section: BorrowedFd<'_>) -> io::Result<()> {
    seal(section, SealFlags::SHRINK | SealFlags::GROW)
}

fn seal(section: BorrowedFd<'_>, seals: SealFlags) -> io::Result<()> {
    rustix::fs::fcntl_add_seals(section, seals).map_err(failed("fcntl(F_ADD_SEALS)"))
}

pub(crate) fn len(section: BorrowedFd<'_>) -> io::Result<u64> {
    memory::len(section)
}

pub(crate) fn map(section: BorrowedFd<'_>) -> io::Result<Mapping> {
    let seals = rustix::fs::fcntl_get_seals(section)?;
    if !seals.contains(SealFlags::SHRINK) {
        let what = "a section that isn't sealed against shrinking can't be mapped";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    if len(section)? == 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "an empty section can't be mapped",
        ));
    }
    let access = access_rights(rustix::fs::fcntl_getfl(section)?);
    let no_writers = SealFlags::WRITE | SealFlags::FUTURE_WRITE;
    let writable = access.contains(Rights::WRITE) && !seals.intersects(no_writers);
    let len = usize::try_from(len(section)?).map_err(|_| io::ErrorKind::OutOfMemory)?;
    Mapping::new(section, len, writable)
}

pub(crate) fn read(section: BorrowedFd<'_>, offset: u64, out: &mut [u8]) -> io::Result<()> {
    let read = HandleRef::<std::fs::File>::new(section).read_exact_at(out, offset);
    read.map_err(|error| match error.kind() {
        kind @ io::ErrorKind::UnexpectedEof => outside(kind),
        _ => error,
    })
}

pub(crate) fn write(section: BorrowedFd<'_>, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let end = offset.saturating_add(bytes.len() as u64);
    let write = || HandleRef::<std::fs::File>::new(section).write_all_at(bytes, offset);
    let written = match file_size_limit() {
        Some(limit) if end > limit => within_file_size_limit(write),
        _ => write(),
    };
    // A seal forbids writing, or writing beyond the end.
    written.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => outside(error.kind()),
        _ => error,
    })
}

/// Determines the object and the rights of memory from its access mode and its seals.
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
    // Only writable descriptors can add seals.
    let may_seal = access.contains(Rights::APPEND) && !seals.contains(SealFlags::SEAL);
    rights.set(Rights::SEAL, may_seal);
    rights.set(Rights::RESIZE, !seals.contains(SealFlags::SHRINK | SealFlags::GROW));
    rights.set(Rights::CHANGE, !seals.contains(SealFlags::WRITE));
    if seals.intersects(SealFlags::WRITE | SealFlags::FUTURE_WRITE) {
        rights.remove(Rights::WRITE | Rights::APPEND);
    }
    Ok(Facts { object: Object::Memory, rights })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Handle, Section, UnsealedSection, identify, prove};

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
        assert!(prove(open.as_fd(), &UnsealedSection::DECLARATION).is_ok());
        let facts = identify(open.as_fd()).unwrap();
        let error = Section::DECLARATION.check(&facts).unwrap_err().to_string();
        assert!(error.contains("got memory whose size isn't sealed"), "{error}");
        let section = open.seal_size().unwrap();
        assert!(prove(section.as_fd(), &Section::DECLARATION).is_ok());
        assert!(prove(Section::frozen(b"x").unwrap().as_fd(), &Section::DECLARATION).is_ok());
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
        assert_eq!(error.to_string(), "an empty section can't be mapped");
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
        let declared =
            Section::DECLARATION.and(Declaration::kind(Kind::Section).at_most(read_only));
        assert!(prove(section.as_fd(), &declared).is_err(), "its content changes");
        let changing = Declaration::kind(Kind::Section).at_most(read_only | Rights::CHANGE);
        assert!(prove(section.as_fd(), &Section::DECLARATION.and(changing)).is_ok());
        let writable = Section::new(8).unwrap();
        assert!(prove(writable.as_fd(), &Section::DECLARATION.and(changing)).is_err());
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
