//! Directories. Files can be opened relative to a directory without leaving it.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | an open directory ([open(2)](https://man7.org/linux/man-pages/man2/open.2.html) with `O_DIRECTORY`) | an open directory |
//! | proof | `statx` shows a directory, on an allowed file system; `F_GETFL` doesn't show `O_PATH` | the object's type is `File`, on a disk, and its attributes show a directory |
//! | rights | `read` (list the entries). The handle carries no right to change the directory: the kernel checks the permissions of the process that makes the change | `read` (`FILE_LIST_DIRECTORY`): enforced by the kernel on the handle |
//! | `try_clone` | the same directory | the same directory |
//! | MIDL | | `sh_file` |
//!
//! On Linux, paths are resolved relative to the directory and can't leave it, neither by `..` nor
//! by a symbolic link (`RESOLVE_BENEATH` of
//! [openat2(2)](https://man7.org/linux/man-pages/man2/openat2.2.html)). That restricts *this*
//! process only: a receiver that isn't confined can leave any directory that it receives. In a
//! received directory, paths can't enter mounts below it either (`RESOLVE_NO_XDEV`), because only
//! the file system of the directory itself was checked.
//!
//! On Windows, files can't be opened relative to a directory, because that requires calls below the
//! Windows API.

use std::io;
use std::path::Path;

use crate::owned::impl_owned;
use crate::sys::directory::DirectoryHandle;
use crate::{Declaration, Kind, Rights};

/// An open directory.
///
/// On Linux, paths in a directory that was converted from an owned handle can't enter a mount below
/// it. The sender of the handle may have mounted a file system there that never answers.
#[derive(Debug)]
pub struct Directory(DirectoryHandle);

impl_owned!(Directory, "directory", Declaration::kind(Kind::Directory).at_least(Rights::READ));

impl Directory {
    /// Opens the directory at a path for listing.
    ///
    /// # Errors
    /// Returns the errors of `open(2)` on Linux, for example `NotADirectory`, and of `CreateFile`
    /// on Windows.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        crate::sys::directory::open(path.as_ref()).map(Self)
    }
}

/// Linux only: access to the content of the directory.
#[cfg(not(windows))]
impl Directory {
    /// Opens a subdirectory.
    ///
    /// # Errors
    /// Returns the errors of `openat2(2)`. Returns `CrossesDevices` for a path that leaves the
    /// directory or, in a received directory, enters a mount below it.
    pub fn directory(&self, path: impl AsRef<Path>) -> io::Result<Self> {
        self.0.directory(path.as_ref()).map(Self)
    }

    /// Opens a file or device in this directory with these rights. Opening a FIFO does not wait for
    /// its other end.
    ///
    /// # Errors
    /// Returns the errors of [`Directory::directory`]. Returns `InvalidInput` for rights that no
    /// file has, and for an object that is neither a file nor a device.
    pub fn file(&self, path: impl AsRef<Path>, rights: Rights) -> io::Result<std::fs::File> {
        self.0.file(path.as_ref(), rights)
    }

    /// Creates a file for reading and writing, with the permissions that the umask allows.
    ///
    /// # Errors
    /// Returns the errors of `openat2(2)`, for example `AlreadyExists` if the path exists.
    pub fn create_file(&self, path: impl AsRef<Path>) -> io::Result<std::fs::File> {
        self.0.create_file(path.as_ref())
    }

    /// Creates a subdirectory and opens it.
    ///
    /// # Errors
    /// Returns `InvalidInput` for a path with several components, and the errors of
    /// [`mkdirat(2)`](https://man7.org/linux/man-pages/man2/mkdirat.2.html).
    pub fn create_directory(&self, name: impl AsRef<Path>) -> io::Result<Self> {
        self.0.create_directory(name.as_ref()).map(Self)
    }

    /// Removes a file or an empty directory from this directory.
    ///
    /// # Errors
    /// Returns `InvalidInput` for a path with several components, and the errors of
    /// [`unlinkat(2)`](https://man7.org/linux/man-pages/man2/unlinkat.2.html).
    pub fn remove(&self, name: impl AsRef<Path>) -> io::Result<()> {
        self.0.remove(name.as_ref())
    }

    /// Returns the names of the directory's entries, in no particular order.
    ///
    /// # Errors
    /// Returns the errors of `getdents64(2)`.
    pub fn names(&self) -> io::Result<Vec<std::ffi::OsString>> {
        self.0.names()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::{Handle, Object, identify};

    #[test]
    fn a_directory_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let open = Directory::open(dir.path()).unwrap();
        let facts = identify(open.as_handle()).unwrap();
        assert_eq!(facts.object, Object::Directory);
        assert!(File::DECLARATION.check(&facts).is_err());
        assert!(Directory::open(dir.path().join("missing")).is_err());
    }
}
