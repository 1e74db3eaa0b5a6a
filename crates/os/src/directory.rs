//! Directories: a place to open files in, and nowhere else.
//!
//! | | |
//! |---|---|
//! | object | an open directory ([open(2)](https://man7.org/linux/man-pages/man2/open.2.html) with `O_DIRECTORY`) |
//! | proof | `statx` says directory, on a file system that is allowed; not `O_PATH` |
//! | rights | `read` (list it). The handle carries no right to change it: that is decided by the permissions of whoever tries |
//! | `try_clone` | the same directory |
//! | Windows | a directory HANDLE; not in MIDL |
//!
//! Paths are taken from the directory on and never lead out of it, neither by `..` nor by a link
//! (`RESOLVE_BENEATH` of [openat2(2)](https://man7.org/linux/man-pages/man2/openat2.2.html)). That
//! keeps *this* process inside; a receiver who isn't confined otherwise can walk out of any
//! directory that it is given.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::handle::impl_handle;
use crate::{Declared, Kind, Rights};

/// An open directory.
#[derive(Debug)]
pub struct Directory(OwnedFd);

impl_handle!(Directory => Declared::kind(Kind::Directory).at_least(Rights::READ));

impl Directory {
    /// Opens the directory at a path.
    ///
    /// # Errors
    /// Those of `open(2)`: `NotADirectory` for anything else.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self(rustix::fs::openat(CWD, path.as_ref(), DIRECTORY, Mode::empty())?))
    }

    /// Opens a directory within this one.
    ///
    /// # Errors
    /// Those of `openat2(2)`: `CrossesDevices` for a path that leads out.
    pub fn directory(&self, path: impl AsRef<Path>) -> io::Result<Self> {
        self.open_beneath(path.as_ref(), DIRECTORY, Mode::empty()).map(Self)
    }

    /// Opens a file within this directory, to do this with it.
    ///
    /// # Errors
    /// Those of `openat2(2)`: `CrossesDevices` for a path that leads out; `InvalidInput` for
    /// rights that no file has.
    pub fn file(&self, path: impl AsRef<Path>, rights: Rights) -> io::Result<File> {
        let flags = open_flags(rights)? | OFlags::CLOEXEC | OFlags::NOCTTY;
        self.open_beneath(path.as_ref(), flags, Mode::empty()).map(File::from)
    }

    /// Makes a file where nothing may be yet, for reading and writing, readable and writable by
    /// whom the umask lets.
    ///
    /// # Errors
    /// Those of `openat2(2)`: `AlreadyExists` when something is there.
    pub fn create_file(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        self.open_beneath(path.as_ref(), flags, Mode::from_raw_mode(0o666)).map(File::from)
    }

    /// Makes a directory in this one and opens it.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is a path; those of
    /// [`mkdirat(2)`](https://man7.org/linux/man-pages/man2/mkdirat.2.html).
    pub fn create_directory(&self, name: impl AsRef<Path>) -> io::Result<Self> {
        let name = single(name.as_ref())?;
        rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o777))?;
        self.directory(name)
    }

    /// Removes a file, or a directory that is empty, from this directory.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is a path; those of
    /// [`unlinkat(2)`](https://man7.org/linux/man-pages/man2/unlinkat.2.html).
    pub fn remove(&self, name: impl AsRef<Path>) -> io::Result<()> {
        let name = single(name.as_ref())?;
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?),
            removed => Ok(removed?),
        }
    }

    /// The names in this directory, in no order.
    ///
    /// # Errors
    /// Those of `getdents64(2)`.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        Ok(names)
    }

    /// A second handle to the same directory.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    fn open_beneath(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        loop {
            match rustix::fs::openat2(&self.0, path, flags, mode, resolve) {
                // Something was renamed meanwhile, and the kernel couldn't be sure.
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return Ok(opened?),
            }
        }
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Directory {
    fn from(handle: OwnedFd) -> Self {
        Self(handle)
    }
}

impl From<Directory> for OwnedFd {
    fn from(directory: Directory) -> Self {
        directory.0
    }
}

/// The flags that open a file with these rights and no more.
///
/// # Errors
/// `InvalidInput` for rights that no file has.
pub(crate) fn open_flags(rights: Rights) -> io::Result<OFlags> {
    let file_rights = Rights::READ | Rights::WRITE | Rights::APPEND;
    let writes = rights.intersects(Rights::WRITE | Rights::APPEND);
    let access = match (rights.contains(Rights::READ), writes) {
        _ if !file_rights.contains(rights) => return Err(io::ErrorKind::InvalidInput.into()),
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (true, false) => OFlags::RDONLY,
        (false, false) => return Err(io::ErrorKind::InvalidInput.into()),
    };
    Ok(match writes && !rights.contains(Rights::WRITE) {
        true => access | OFlags::APPEND,
        false => access,
    })
}

/// A name in one directory, which isn't a path.
fn single(name: &Path) -> io::Result<&Path> {
    match name.file_name() {
        Some(file_name) if file_name == name.as_os_str() => Ok(name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "a name in a directory is no path")),
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn files_are_made_opened_and_removed_within() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::open(dir.path()).unwrap();
        directory.create_directory("sub").unwrap().create_file("file").unwrap();
        directory.file("sub/file", Rights::APPEND).unwrap().write_all(b"text").unwrap();
        let mut text = String::new();
        let mut file = directory.file("sub/file", Rights::READ).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
        assert!(file.write_all(b"more").is_err());
        assert_eq!(directory.names().unwrap(), ["sub"]);
        assert!(directory.remove("sub").is_err());
        directory.directory("sub").unwrap().remove("file").unwrap();
        directory.remove("sub").unwrap();
        assert!(directory.names().unwrap().is_empty());
    }

    #[test]
    fn no_path_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("out")).unwrap();
        let directory = Directory::open(dir.path()).unwrap();
        for path in ["..", "/", "out/tmp", "out", "a/../.."] {
            assert!(directory.directory(path).is_err(), "{path}");
            assert!(directory.file(path, Rights::READ).is_err(), "{path}");
        }
        for name in ["..", ".", "", "a/b", "/"] {
            assert!(directory.create_directory(name).is_err(), "{name}");
            assert!(directory.remove(name).is_err(), "{name}");
        }
    }
}
