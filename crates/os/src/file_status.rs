//! The owner, mode and type of a file, from the kernel.
//!
//! This module makes its system calls without libc. Under fakeroot, libc reports that files belong
//! to root, while the kernel checks access for the real user of the process.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Statx, StatxFlags};
use rustix::io::Errno;

use crate::{GroupId, UserId};

/// The owner, mode and type of a file.
#[derive(Clone, Copy, Debug)]
pub struct FileStatus {
    /// The user that owns the file.
    pub user: UserId,
    /// The group that owns the file.
    pub group: GroupId,
    /// The permission bits.
    pub mode: u32,
    /// The device and inode numbers, which identify the file as long as it exists.
    pub id: (u64, u64),
    /// The number of hard links to the file.
    pub links: u32,
    /// The time of the last change to the content, owner, mode or links (ctime), in nanoseconds
    /// since 1970.
    pub changed: i128,
    file_type: FileType,
}

impl FileStatus {
    /// Returns the status of the file at a path, following symbolic links.
    ///
    /// # Errors
    /// Returns the errors of [`statx(2)`](https://man7.org/linux/man-pages/man2/statx.2.html).
    pub fn at(path: &Path) -> io::Result<Self> {
        let flags = rustix::fs::AtFlags::empty();
        Ok(Self::new(&retry(|| rustix::fs::statx(CWD, path, flags, StatxFlags::BASIC_STATS))?))
    }

    /// Returns the status of an open file.
    ///
    /// # Errors
    /// Returns the errors of `statx(2)`.
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        let flags = rustix::fs::AtFlags::EMPTY_PATH;
        let statx = || rustix::fs::statx(file.as_fd(), c"", flags, StatxFlags::BASIC_STATS);
        Ok(Self::new(&retry(statx)?))
    }

    fn new(raw: &Statx) -> Self {
        Self {
            user: UserId::from_kernel(raw.stx_uid),
            group: GroupId::from_kernel(raw.stx_gid),
            mode: u32::from(raw.stx_mode) & 0o7777,
            id: (rustix::fs::makedev(raw.stx_dev_major, raw.stx_dev_minor), raw.stx_ino),
            links: raw.stx_nlink,
            changed: i128::from(raw.stx_ctime.tv_sec) * 1_000_000_000
                + i128::from(raw.stx_ctime.tv_nsec),
            file_type: FileType::from_raw_mode(raw.stx_mode.into()),
        }
    }

    /// Returns whether the file is a directory.
    pub fn is_folder(&self) -> bool {
        self.file_type == FileType::Directory
    }

    /// Returns whether the file is a regular file.
    pub fn is_file(&self) -> bool {
        self.file_type == FileType::RegularFile
    }
}

fn retry(statx: impl Fn() -> Result<Statx, Errno>) -> Result<Statx, Errno> {
    loop {
        match statx() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn the_status_of_a_file_is_the_same_by_path_and_descriptor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = File::create(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let metadata = file.metadata().unwrap();
        for status in [FileStatus::at(&path).unwrap(), FileStatus::of(&file).unwrap()] {
            assert_eq!(status.mode, 0o640);
            assert_eq!(status.id, (metadata.dev(), metadata.ino()));
            assert_eq!(status.user.shown(), metadata.uid());
            assert_eq!(status.changed / 1_000_000_000, metadata.ctime().into());
            assert!(status.is_file() && !status.is_folder());
        }
        assert!(FileStatus::at(folder.path()).unwrap().is_folder());
        fs::remove_file(&path).unwrap();
        assert_eq!(FileStatus::of(&file).unwrap().links, 0);
        assert_eq!(FileStatus::at(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
