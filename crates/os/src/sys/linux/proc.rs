//! Opens files in `/proc`, and ensures that they are in procfs.
//!
//! In a container or a sandbox, another file system may be mounted over `/proc` or a part of it: a
//! tmpfs, or a file system in user space. The owner of that file system controls the content of its
//! files. So after opening a file, this module checks that the file is in procfs. For a file about
//! this process, it also checks that the file is in the mount at `/proc`, because a file of another
//! process may be bind-mounted over it.
//!
//! A file system in user space that is mounted at `/proc` can still delay the opening. Only an
//! administrator of the mount namespace can mount it. [`prepare`](crate::prepare) opens the files
//! in advance.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::sys::device;

/// Opens a file about this process (`/proc/self/…`, `/proc/thread-self/…`).
///
/// # Errors
/// Returns the errors of `open(2)`, and [`Errno::OPNOTSUPP`] if another file system is mounted
/// there ([`unverified`]).
pub(crate) fn open(path: &str) -> Result<OwnedFd, Errno> {
    let file = open_any(path)?;
    let root = retry_on_intr(|| rustix::fs::openat(CWD, c"/proc", ROOT, Mode::empty()))?;
    let mount = |handle: &OwnedFd| match device::stat(handle) {
        Ok(stat) => Ok(device::mount(&stat)),
        Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    };
    if mount(&file)? == mount(&root)? { Ok(file) } else { Err(Errno::OPNOTSUPP) }
}

/// Reads a file about this process, or a system-wide setting (`/proc/sys/…`). A setting need not be
/// in the mount at `/proc`, because a container runtime may have mounted `/proc/sys` separately.
///
/// # Errors
/// Returns the errors of `open(2)` and `read(2)`, and `Unsupported` if the file isn't in procfs.
pub fn read(path: &str) -> io::Result<String> {
    let file = if path.starts_with("/proc/sys/") { open_system(path) } else { open(path) };
    let mut text = String::new();
    File::from(file.map_err(explained)?).read_to_string(&mut text)?;
    Ok(text)
}

/// Reads a symbolic link in a directory about this process, such as `ns/mnt` in
/// `/proc/thread-self`.
///
/// The link itself needs no check, because nothing can be mounted over it.
///
/// # Errors
/// Returns the errors of `open(2)` and `readlink(2)`, and `Unsupported` if the directory isn't in
/// procfs.
pub fn read_link(folder: &str, name: &str) -> io::Result<String> {
    let folder = open(folder).map_err(explained)?;
    let link = retry_on_intr(|| rustix::fs::readlinkat(&folder, name, Vec::new()))?;
    Ok(link.to_string_lossy().into_owned())
}

/// Opens a system-wide file. Rejects a file that is itself a mount point.
fn open_system(path: &str) -> Result<OwnedFd, Errno> {
    let file = open_any(path)?;
    let statx = || rustix::fs::statx(&file, c"", AtFlags::EMPTY_PATH, StatxFlags::TYPE);
    let stat = retry_on_intr(statx)?;
    let is_mount = stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
    if is_mount { Err(Errno::OPNOTSUPP) } else { Ok(file) }
}

fn open_any(path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))?;
    if is_of(&file, PROC_MAGIC)? { Ok(file) } else { Err(Errno::OPNOTSUPP) }
}

/// Opens a file that represents a namespace (`/proc/self/ns/…`).
///
/// # Errors
/// Returns the errors of [`open`].
pub(crate) fn open_namespace(path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))?;
    if is_of(&file, NSFS_MAGIC)? { Ok(file) } else { Err(Errno::OPNOTSUPP) }
}

/// Converts an error of [`open`] to one that states the reason.
pub(crate) fn explained(error: Errno) -> io::Error {
    if error == Errno::OPNOTSUPP { unverified() } else { error.into() }
}

/// Returns the error for a file that isn't in procfs.
fn unverified() -> io::Error {
    let what = "/proc is not the kernel's procfs, or something is mounted over its files, so it proves \
                nothing about a handle";
    io::Error::new(ErrorKind::Unsupported, what)
}

fn is_of(file: &OwnedFd, magic: u64) -> Result<bool, Errno> {
    let file_system = retry_on_intr(|| rustix::fs::fstatfs(file.as_fd()))?;
    Ok(file_system.f_type as u64 & MAGIC_MASK == magic)
}

const ROOT: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// From `linux/magic.h`. Magic numbers have 32 bits, but the width of the field depends on the
/// architecture.
const PROC_MAGIC: u64 = 0x9fa0;
const NSFS_MAGIC: u64 = 0x6e73_6673;
const MAGIC_MASK: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn only_files_of_procfs_are_opened() {
        assert!(open("/proc/self/mountinfo").is_ok());
        assert!(open_namespace("/proc/self/ns/user").is_ok());
        assert_eq!(open("/dev/null").unwrap_err(), Errno::OPNOTSUPP);
        assert_eq!(open_namespace("/proc/self/status").unwrap_err(), Errno::OPNOTSUPP);
        assert!(read("/proc/sys/kernel/overflowuid").is_ok());
        let namespace = read_link("/proc/thread-self/ns", "mnt").unwrap();
        assert_eq!(Path::new(&namespace), std::fs::read_link("/proc/self/ns/mnt").unwrap());
        assert_eq!(read_link("/dev", "fd").unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(read("/dev/null").unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
