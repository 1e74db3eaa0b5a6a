//! Narrowing: creating handles with fewer rights.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::LazyLock;

use rustix::fs::SealFlags;

use crate::sys::directory::{open_anew, open_flags};
use crate::{Filesystems, Handle, Object, Rights, Section, identify, identify_with};

/// A handle type whose handles can be narrowed to fewer rights.
///
/// Nothing is narrowed implicitly. A client that wants to pass fewer rights than it has calls
/// [`Narrow::narrow`], and accepts the documented consequences.
pub trait Narrow: Handle {
    /// Returns a handle to the same object with exactly these rights.
    ///
    /// # Errors
    /// `PermissionDenied` for rights that this handle lacks, or if the object can't be reopened.
    /// `InvalidInput` for a combination of rights that this kind doesn't support.
    fn narrow(&self, rights: Rights) -> io::Result<Self>;
}

/// Reopens the file through `/proc/self/fd`.
///
/// The new handle has its own offset, which starts at zero, and its own locks: an
/// [`flock(2)`](https://man7.org/linux/man-pages/man2/flock.2.html) held through the original
/// handle isn't held through the new one. The process needs permission to open the file now, even
/// if it had more permissions when this handle was opened. Opening a device may have side effects.
///
/// A handle with `append` alone writes at the end unless its holder clears `O_APPEND`. This
/// prevents mistakes, but is not a security boundary.
impl Narrow for File {
    fn narrow(&self, rights: Rights) -> io::Result<Self> {
        // Any file system is permitted, because the handle belongs to the caller, who accepts a
        // slow one.
        let facts = identify_with(self.as_fd(), any_file_system())?;
        if !matches!(facts.object, Object::RegularFile | Object::SpecialFile | Object::Device) {
            let what = "only files and devices are narrowed by opening them anew";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        refuse_more(facts.rights, rights)?;
        // `WRITE` includes `APPEND`, but not vice versa.
        open_anew(self.as_fd(), open_flags(rights)?)
    }
}

/// Seals the section. All holders of the section permanently lose the rights that are given up.
///
/// `write`, `change` and `seal` can be given up. Without `write` and `change`, no process can write
/// to the section. Without `write` but with `change`, processes can write only through mappings
/// that already exist ([`Section::freeze_for_others`]). Without `seal`, no more seals can be added.
/// The new handle refers to the same memory.
impl Narrow for Section {
    fn narrow(&self, rights: Rights) -> io::Result<Self> {
        let facts = identify(self.as_fd())?;
        refuse_more(facts.rights, rights)?;
        if rights == facts.rights {
            return self.try_clone();
        }
        let kept = Rights::READ | Rights::MAP;
        let write = Rights::WRITE | Rights::APPEND;
        let gives_up_write = !rights.intersects(write);
        if !rights.contains(kept) || !(gives_up_write || rights.contains(Rights::WRITE)) {
            let what = "a section is only narrowed by its rights to be written and sealed";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let mut seals = SealFlags::empty();
        if gives_up_write && !rights.contains(Rights::CHANGE) {
            seals.set(SealFlags::WRITE, facts.rights.intersects(write | Rights::CHANGE));
        } else if gives_up_write {
            seals.set(SealFlags::FUTURE_WRITE, facts.rights.intersects(write));
        }
        if !rights.contains(Rights::SEAL) && facts.rights.contains(Rights::SEAL) {
            seals |= SealFlags::SEAL;
        }
        if !seals.is_empty() {
            rustix::fs::fcntl_add_seals(self, seals)?;
        }
        self.try_clone()
    }
}

fn any_file_system() -> &'static Filesystems {
    static ANY: LazyLock<Filesystems> = LazyLock::new(Filesystems::any);
    &ANY
}

fn refuse_more(has: Rights, wanted: Rights) -> io::Result<()> {
    match has.contains(wanted) {
        true => Ok(()),
        false => {
            let what = format!("a handle with {has} can't be narrowed to {wanted}");
            Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::*;
    use crate::UnsealedSection;

    #[test]
    fn a_narrowed_file_has_its_own_offset_and_cannot_write() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"text").unwrap();
        let mut narrowed = match file.narrow(Rights::READ) {
            Ok(narrowed) => narrowed,
            Err(error) => return println!("skipped: {error}"),
        };
        assert_eq!(file.stream_position().unwrap(), 4);
        let mut text = String::new();
        narrowed.read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        assert!(narrowed.write_all(b"more").is_err());
        assert_eq!(identify(narrowed.as_fd()).unwrap().rights, Rights::READ);
    }

    #[test]
    fn a_narrowed_file_does_not_share_its_locks() {
        let file = tempfile::tempfile().unwrap();
        let lock = rustix::fs::FlockOperation::NonBlockingLockExclusive;
        rustix::fs::flock(&file, lock).unwrap();
        rustix::fs::flock(file.try_clone().unwrap(), lock).unwrap();
        let narrowed = file.narrow(Rights::READ).unwrap();
        assert_eq!(rustix::fs::flock(&narrowed, lock), Err(rustix::io::Errno::WOULDBLOCK));
    }

    #[test]
    fn a_file_narrowed_to_append_writes_at_the_end_alone() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one").unwrap();
        let mut log = file.narrow(Rights::APPEND).unwrap();
        log.rewind().unwrap();
        log.write_all(b" two").unwrap();
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
        assert!(log.narrow(Rights::WRITE | Rights::APPEND).is_err());
    }

    #[test]
    fn to_append_alone_is_no_boundary() {
        let file = tempfile::tempfile().unwrap();
        let log = file.narrow(Rights::APPEND).unwrap();
        assert_eq!(identify(log.as_fd()).unwrap().rights, Rights::APPEND);
        rustix::fs::fcntl_setfl(&log, rustix::fs::OFlags::empty()).unwrap();
        assert_eq!(identify(log.as_fd()).unwrap().rights, Rights::WRITE | Rights::APPEND);
    }

    #[test]
    fn a_file_of_the_same_user_is_narrowed_on_any_file_system() {
        use rustix::fs::{Mode, OFlags};
        use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
        // This file system is not mounted anywhere, so a receiver would reject its files.
        let mount = rustix::mount::fsopen("ramfs", FsOpenFlags::FSOPEN_CLOEXEC)
            .and_then(|fs| rustix::mount::fsconfig_create(&fs).map(|()| fs))
            .and_then(|fs| {
                let flags = FsMountFlags::FSMOUNT_CLOEXEC;
                rustix::mount::fsmount(&fs, flags, MountAttrFlags::empty())
            });
        let mount = match mount {
            Ok(mount) => mount,
            Err(error) => return println!("skipped: a file system that isn't trusted: {error}"),
        };
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&mount, c"file", flags, Mode::RUSR).unwrap();
        let file = File::from(file);
        assert_eq!(identify(file.as_fd()).unwrap().object, Object::Unjudged);
        let mut narrowed = file.narrow(Rights::READ).unwrap();
        assert!(narrowed.write_all(b"more").is_err());
    }

    #[test]
    fn nothing_is_narrowed_to_more() {
        let file = File::open("/dev/null").unwrap();
        let error = file.narrow(Rights::READ | Rights::WRITE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_narrowed_section_is_still_written_through_existing_maps() {
        let section = Section::new(8).unwrap();
        let map = section.map().unwrap();
        let rights = Rights::READ | Rights::MAP | Rights::CHANGE;
        let narrowed = section.narrow(rights).unwrap();
        assert_eq!(identify(narrowed.as_fd()).unwrap().rights, rights);
        assert!(section.write(0, b"x").is_err(), "the seal applies to all holders");
        map.write(0, b"news").unwrap();
        narrowed.narrow(rights).unwrap();
        let error = narrowed.narrow(Rights::READ | Rights::MAP).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "no more seals");
    }

    #[test]
    fn a_narrowed_section_is_sealed_for_all_who_hold_it() {
        let section = UnsealedSection::new(8).unwrap().seal_size().unwrap();
        section.write(0, b"once").unwrap();
        let narrowed = section.narrow(Rights::READ | Rights::MAP).unwrap();
        assert_eq!(&narrowed.view().unwrap()[..4], b"once");
        assert!(section.write(0, b"more").is_err());
        assert_eq!(identify(section.as_fd()).unwrap().rights, Rights::READ | Rights::MAP);
    }
}
