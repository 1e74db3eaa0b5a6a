//! Asks the kernel what a descriptor refers to.

use std::fmt;
use std::io;
use std::os::fd::AsRawFd;

use rustix::fs::{AtFlags, FileType, OFlags, StatxFlags};

use crate::{BorrowedHandle, Kind, Rights, memory};

/// What the kernel says that a handle is, and what may be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The object that it refers to.
    pub object: Object,
    /// The rights that it carries.
    pub rights: Rights,
}

/// The objects of Linux that a descriptor may refer to, as far as kinds tell them apart.
///
/// [`Object::is`] is the table of which object counts as which [`Kind`]. The discriminants travel
/// on the wire, in errors, and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Object {
    /// Something without a kind: an epoll, a signalfd, another namespace.
    Other = 0,
    /// A regular file of some file system.
    RegularFile = 1,
    /// A character or block device.
    Device = 2,
    /// A directory.
    Directory = 3,
    /// A descriptor that only names a place (`O_PATH`) and proves no access at all.
    PathOnly = 4,
    /// An end of a pipe or FIFO.
    Pipe = 5,
    /// A socket.
    Socket = 6,
    /// An eventfd.
    Eventfd = 7,
    /// An eventfd that counts down (`EFD_SEMAPHORE`).
    EventfdSemaphore = 8,
    /// A timerfd.
    Timerfd = 9,
    /// Memory made by `memfd_create`.
    Memory = 10,
    /// A pidfd of a process.
    Process = 11,
    /// A pidfd of a thread (`PIDFD_THREAD`).
    Thread = 12,
    /// A user namespace.
    UserNamespace = 13,
    /// A directory of the control group file system, version 2.
    ControlGroup = 14,
    /// A dma-buf.
    DeviceBuffer = 15,
    /// Memory that holds a mutex.
    Mutex = 16,
    /// A file on a file system that isn't trusted to answer.
    Unjudged = 17,
}

impl Object {
    /// Every object, in the order of their numbers.
    pub const ALL: [Self; 18] = [
        Self::Other,
        Self::RegularFile,
        Self::Device,
        Self::Directory,
        Self::PathOnly,
        Self::Pipe,
        Self::Socket,
        Self::Eventfd,
        Self::EventfdSemaphore,
        Self::Timerfd,
        Self::Memory,
        Self::Process,
        Self::Thread,
        Self::UserNamespace,
        Self::ControlGroup,
        Self::DeviceBuffer,
        Self::Mutex,
        Self::Unjudged,
    ];

    /// Whether an object like this counts as that kind.
    pub const fn is(self, kind: Kind) -> bool {
        match self {
            Self::Other | Self::PathOnly | Self::Unjudged => false,
            Self::RegularFile | Self::Device => matches!(kind, Kind::File),
            Self::Directory => matches!(kind, Kind::Directory | Kind::RegKey),
            Self::ControlGroup => matches!(kind, Kind::Job | Kind::Directory | Kind::RegKey),
            Self::Pipe => matches!(kind, Kind::Pipe),
            Self::Socket => matches!(kind, Kind::Socket),
            Self::Eventfd => matches!(kind, Kind::Event),
            Self::EventfdSemaphore => matches!(kind, Kind::Semaphore),
            Self::Timerfd => matches!(kind, Kind::Timer),
            Self::Memory => matches!(kind, Kind::Section),
            Self::Mutex => matches!(kind, Kind::Mutex),
            Self::Process => matches!(kind, Kind::Process),
            Self::Thread => matches!(kind, Kind::Thread),
            Self::UserNamespace => matches!(kind, Kind::Token),
            Self::DeviceBuffer => matches!(kind, Kind::Composition),
        }
    }
}

/// With its article, for the middle of a sentence: `a pipe`.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Other => "an object without a kind",
            Self::RegularFile => "a file",
            Self::Device => "a device",
            Self::Directory => "a directory",
            Self::PathOnly => "a path without access (O_PATH)",
            Self::Pipe => "a pipe",
            Self::Socket => "a socket",
            Self::Eventfd => "an event",
            Self::EventfdSemaphore => "a semaphore",
            Self::Timerfd => "a timer",
            Self::Memory => "a section",
            Self::Process => "a process",
            Self::Thread => "a thread",
            Self::UserNamespace => "a token",
            Self::ControlGroup => "a job",
            Self::DeviceBuffer => "a composition",
            Self::Mutex => "a mutex",
            Self::Unjudged => "a file on a file system that isn't trusted",
        })
    }
}

/// Asks the kernel what a handle refers to and what may be done with it.
///
/// # Errors
/// Those of [`statx(2)`](https://man7.org/linux/man-pages/man2/statx.2.html) and
/// [`fcntl(2)`](https://man7.org/linux/man-pages/man2/fcntl.2.html), and of reading
/// `/proc/self/fdinfo` where only that tells the object.
pub fn identify(handle: BorrowedHandle<'_>) -> io::Result<Facts> {
    let flags = rustix::fs::fcntl_getfl(handle)?;
    if flags.contains(OFlags::PATH) {
        return Ok(Facts { object: Object::PathOnly, rights: Rights::empty() });
    }
    let access = access_rights(flags);
    // DONT_SYNC: a file system in user space must not be able to hold this up.
    let dont_sync = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(handle, "", dont_sync, StatxFlags::TYPE)?;
    let facts = |object, rights| Ok(Facts { object, rights });
    match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile if memory::is_ours(&stat) => facts(Object::Memory, access),
        FileType::RegularFile => facts(regular(handle)?, access),
        FileType::CharacterDevice | FileType::BlockDevice => facts(Object::Device, access),
        FileType::Directory => facts(Object::Directory, access),
        FileType::Fifo => facts(Object::Pipe, access),
        FileType::Socket => facts(Object::Socket, Rights::READ | Rights::WRITE),
        _ => anonymous(handle),
    }
}

/// What an open file's flags let its holder do.
fn access_rights(flags: OFlags) -> Rights {
    // With O_APPEND no write lands where the caller wants it: that is less than WRITE.
    let write = match flags.contains(OFlags::APPEND) {
        true => Rights::APPEND,
        false => Rights::WRITE | Rights::APPEND,
    };
    match flags & OFlags::ACCMODE {
        OFlags::RDWR => Rights::READ | write,
        OFlags::WRONLY => write,
        _ => Rights::READ,
    }
}

/// Tells a file on a disk from the kernel's own objects that look like one.
fn regular(handle: BorrowedHandle<'_>) -> io::Result<Object> {
    Ok(match rustix::fs::fstatfs(handle)?.f_type {
        PIDFS_MAGIC => Object::Process,
        NSFS_MAGIC | DMA_BUF_MAGIC => Object::Other,
        _ => Object::RegularFile,
    })
}

/// Tells the objects without an inode of their own apart, which `stat` shows all alike.
fn anonymous(handle: BorrowedHandle<'_>) -> io::Result<Facts> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", handle.as_raw_fd()))?;
    let object = match () {
        () if info.contains("\neventfd-semaphore: 1") => Object::EventfdSemaphore,
        () if info.contains("\neventfd-count:") => Object::Eventfd,
        () if info.contains("\nclockid:") => Object::Timerfd,
        () if info.contains("\nPid:") => Object::Process,
        () => Object::Other,
    };
    Ok(Facts { object, rights: Rights::SIGNAL | Rights::WAIT })
}

// From linux/magic.h.
const PIDFS_MAGIC: i64 = 0x5049_4446;
const NSFS_MAGIC: i64 = 0x6e73_6673;
const DMA_BUF_MAGIC: i64 = 0x444d_4142;

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn every_object_has_its_number() {
        for (i, object) in Object::ALL.into_iter().enumerate() {
            assert_eq!(object as usize, i);
        }
    }

    #[test]
    fn a_pipe_has_a_direction() {
        let (reader, writer) = io::pipe().unwrap();
        let read = identify(reader.as_fd()).unwrap();
        let write = identify(writer.as_fd()).unwrap();
        assert_eq!(read, Facts { object: Object::Pipe, rights: Rights::READ });
        assert_eq!(write, Facts { object: Object::Pipe, rights: Rights::WRITE | Rights::APPEND });
    }
}
