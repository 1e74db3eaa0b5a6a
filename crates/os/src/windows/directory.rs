//! Directories: open handles to directories.
//!
//! | | |
//! |---|---|
//! | object | an open directory |
//! | proof | the object's type is `File`, on a disk, and its attributes show a directory |
//! | rights | `read` (`FILE_LIST_DIRECTORY`): enforced by the kernel on the handle |
//! | `try_clone` | the same directory |
//! | MIDL | `sh_file` |
//!
//! This module opens nothing relative to a directory, because that requires calls below the Windows
//! API.

use std::fs::File;
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;

use super::handle::impl_owned;
use crate::{Declared, Kind, OwnedHandle, Rights};

/// An open directory.
#[derive(Debug)]
pub struct Directory(OwnedHandle);

impl_owned!(Directory, "directory", Declared::kind(Kind::Directory).at_least(Rights::READ));

impl Directory {
    /// Opens a directory to list it.
    ///
    /// # Errors
    /// Returns the errors of `CreateFile`.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut options = File::options();
        let file = options.read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?;
        Ok(Self(file.into()))
    }
}

/// Without this flag, `CreateFile` opens only files; from `winbase.h`.
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Handle, Object, identify};

    #[test]
    fn a_directory_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let open = Directory::open(dir.path()).unwrap();
        let facts = identify(open.as_handle()).unwrap();
        assert_eq!(facts.object, Object::Directory);
        assert!(File::DECLARED.check(&facts).is_err());
    }
}
