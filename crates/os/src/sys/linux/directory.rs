//! Directories, in which `openat2` resolves paths.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;

use crate::Rights;
use crate::sys::feature::{Feature, may_use};
use crate::sys::{device, proc};

/// An open directory.
#[derive(Debug)]
pub(crate) struct DirectoryHandle {
    handle: OwnedFd,
    /// The restrictions on paths in this directory.
    resolve: ResolveFlags,
}

/// Opens the directory at a path.
pub(crate) fn open(path: &Path) -> io::Result<DirectoryHandle> {
    let handle = rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty())?;
    Ok(DirectoryHandle { handle, resolve: WITHIN })
}

impl DirectoryHandle {
    /// Opens a subdirectory.
    pub(crate) fn directory(&self, path: &Path) -> io::Result<Self> {
        let handle = self.open_beneath(path, DIRECTORY, Mode::empty())?;
        Ok(Self { handle, resolve: self.resolve })
    }

    /// Opens a file or device in this directory with these rights. Opening a FIFO does not wait for
    /// its other end.
    pub(crate) fn file(&self, path: &Path, rights: Rights) -> io::Result<File> {
        let flags = open_flags(rights)?;
        let place = self.open_beneath(path, PLACE, Mode::empty())?;
        refuse_others(place.as_fd())?;
        // Reopens the object that was checked, even if it was renamed since.
        match open_anew(place.as_fd(), flags) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.file_without_proc(path, flags)
            }
            opened => opened,
        }
    }

    /// Opens the path a second time. It may refer to another object by then.
    fn file_without_proc(&self, path: &Path, flags: OFlags) -> io::Result<File> {
        let not_blocking = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let file = self.open_beneath(path, not_blocking, Mode::empty())?;
        refuse_others(file.as_fd())?;
        rustix::fs::fcntl_setfl(&file, flags & OFlags::APPEND)?;
        Ok(file.into())
    }

    /// Creates a file for reading and writing, with the permissions that the umask allows. The path
    /// must not exist.
    pub(crate) fn create_file(&self, path: &Path) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        self.open_beneath(path, flags, Mode::from_raw_mode(0o666)).map(File::from)
    }

    /// Creates a subdirectory and opens it.
    pub(crate) fn create_directory(&self, name: &Path) -> io::Result<Self> {
        let name = single(name)?;
        rustix::fs::mkdirat(&self.handle, name, Mode::from_raw_mode(0o777))?;
        self.directory(name)
    }

    /// Removes a file or an empty directory from this directory.
    pub(crate) fn remove(&self, name: &Path) -> io::Result<()> {
        let name = single(name)?;
        match rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => Ok(rustix::fs::unlinkat(&self.handle, name, AtFlags::REMOVEDIR)?),
            removed => Ok(removed?),
        }
    }

    /// Returns the names of the directory's entries, in no particular order.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.handle)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        Ok(names)
    }

    /// Returns a second handle to the same directory.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { handle: self.handle.try_clone()?, resolve: self.resolve })
    }

    /// Opens a name in this directory, unless it is a symbolic link.
    pub(crate) fn open_unlinked(&self, name: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = self.resolve | ResolveFlags::NO_SYMLINKS;
        self.open_resolved(name, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    fn open_beneath(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        Ok(self.open_resolved(path, flags, mode, self.resolve)?)
    }

    fn open_resolved(
        &self,
        path: &Path,
        flags: OFlags,
        mode: Mode,
        resolve: ResolveFlags,
    ) -> rustix::io::Result<OwnedFd> {
        loop {
            match rustix::fs::openat2(&self.handle, path, flags, mode, resolve) {
                // A component was renamed during the lookup, so the kernel could not rule out that
                // the path leaves the directory.
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return opened,
            }
        }
    }
}

impl AsFd for DirectoryHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Wraps a received directory. Paths in it can't enter a file system mounted below it, because the
/// sender may have mounted one that never answers.
impl From<OwnedFd> for DirectoryHandle {
    fn from(handle: OwnedFd) -> Self {
        Self { handle, resolve: WITHIN.union(ResolveFlags::NO_XDEV) }
    }
}

impl From<DirectoryHandle> for OwnedFd {
    fn from(directory: DirectoryHandle) -> Self {
        directory.handle
    }
}

/// Returns the flags to open a file with exactly these rights.
///
/// # Errors
/// `InvalidInput` for rights that no file has.
pub(crate) fn open_flags(rights: Rights) -> io::Result<OFlags> {
    let file_rights = Rights::READ | Rights::WRITE | Rights::APPEND;
    let writes = rights.intersects(Rights::WRITE | Rights::APPEND);
    let access = match (rights.contains(Rights::READ), writes) {
        _ if !file_rights.contains(rights) => return Err(not_of_a_file()),
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (true, false) => OFlags::RDONLY,
        (false, false) => return Err(not_of_a_file()),
    };
    Ok(match writes && !rights.contains(Rights::WRITE) {
        true => access | OFlags::APPEND,
        false => access,
    })
}

fn not_of_a_file() -> io::Error {
    let what = "a file is opened with `read`, `write` or `append`, and nothing else";
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// Returns an error unless the handle is a file or a device.
fn refuse_others(handle: BorrowedFd<'_>) -> io::Result<()> {
    let stat = crate::sys::stat::stat(handle, StatxFlags::TYPE)?;
    match stat.kind() {
        FileType::RegularFile | FileType::CharacterDevice | FileType::BlockDevice => Ok(()),
        _ => {
            let what = "it is neither a file nor a device";
            Err(io::Error::new(io::ErrorKind::InvalidInput, what))
        }
    }
}

/// Reopens the file of a descriptor with these flags.
///
/// # Errors
/// Returns the errors of `open(2)`, and `Unsupported` if `/proc` isn't mounted.
pub(crate) fn open_anew(handle: BorrowedFd<'_>, flags: OFlags) -> io::Result<File> {
    let without_proc = || {
        io::Error::new(io::ErrorKind::Unsupported, "opening what a handle refers to needs /proc")
    };
    if !may_use(Feature::Proc) {
        return Err(without_proc());
    }
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    match rustix::fs::open(path, flags | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty()) {
        Err(Errno::NOENT) => Err(without_proc()),
        opened => {
            let opened = opened?;
            // Another file system may be mounted at `/proc`, so its links may lead to other files.
            let id = |file: BorrowedFd<'_>| device::stat(file).map(|is| (is.device, is.inode));
            match id(opened.as_fd())? == id(handle)? {
                true => Ok(opened.into()),
                false => Err(proc::explained(Errno::OPNOTSUPP)),
            }
        }
    }
}

/// Returns the name if it is a single component, and not a path.
fn single(name: &Path) -> io::Result<&Path> {
    match name.file_name() {
        Some(file_name) if file_name == name.as_os_str() => Ok(name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "a name in a directory is no path")),
    }
}

const WITHIN: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
const PLACE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::Directory;
    use crate::sys::feature::seam::without;

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
    fn a_fifo_in_place_of_a_file_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, dir.path().join("fifo"), FileType::Fifo, mode, 0).unwrap();
        let directory = Directory::open(dir.path()).unwrap();
        directory.create_directory("sub").unwrap();
        for rights in [Rights::READ, Rights::APPEND, Rights::READ | Rights::WRITE] {
            for name in ["fifo", "sub"] {
                let error = directory.file(name, rights).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}");
            }
        }
        without(Feature::Proc, || {
            let mut made = directory.create_file("file").unwrap();
            made.write_all(b"one").unwrap();
            let mut log = directory.file("file", Rights::APPEND).unwrap();
            log.write_all(b" two").unwrap();
            assert_eq!(std::fs::read(dir.path().join("file")).unwrap(), b"one two");
            let flags = rustix::fs::fcntl_getfl(&log).unwrap();
            assert!(!flags.contains(OFlags::NONBLOCK) && flags.contains(OFlags::APPEND));
            let swapped =
                open(dir.path()).unwrap().file_without_proc(Path::new("fifo"), OFlags::RDONLY);
            assert_eq!(swapped.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        });
        let error = directory.file("fifo", Rights::MAP).unwrap_err();
        assert!(error.to_string().contains("`read`"), "{error}");
    }

    #[test]
    fn a_directory_that_arrived_does_not_lead_into_what_is_mounted_below() {
        // A file in a mount that every system has.
        let mounted = Path::new("proc/self/status");
        let own = Directory::open("/").unwrap();
        if let Err(error) = own.file(mounted, Rights::READ) {
            return println!("skipped: /proc: {error}");
        }
        let arrived = Directory::from(OwnedFd::from(own));
        let clone = arrived.try_clone().unwrap();
        for directory in [&arrived, &clone] {
            let error = directory.file(mounted, Rights::READ).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::CrossesDevices);
            let error = directory.directory("proc").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::CrossesDevices);
        }
        assert!(arrived.directory("usr").is_ok());
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
