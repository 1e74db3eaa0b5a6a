//! Asks the kernel for the object and the rights of a descriptor.
//!
//! Queries that no peer can delay come first: the kernel answers `F_GETFL` and `statx` with
//! `AT_STATX_DONT_SYNC` by itself. Objects with one of the kernel's internal device numbers are
//! then identified by further queries. A file of a mounted file system is queried further only if
//! the [`Filesystems`] policy trusts it.

use std::io;

use rustix::fs::{FileType, OFlags, SealFlags};

use super::fdinfo::{Eventfd, FdInfo};
use super::stat::Stat;
use super::{device, fdinfo, ioctl, process, section, socket};
use crate::filesystems::Verdict;
use crate::socket::RIGHTS;
use crate::{BorrowedHandle, Facts, Filesystems, Object, Rights, filesystems as policy};

/// Identifies a handle with the default policy on file systems.
pub(crate) fn identify(handle: BorrowedHandle<'_>) -> io::Result<Facts> {
    identify_with(handle, Filesystems::usual())
}

/// Identifies a handle with this policy on trusted file systems.
pub(crate) fn identify_with(
    handle: BorrowedHandle<'_>,
    filesystems: &Filesystems,
) -> io::Result<Facts> {
    let flags = rustix::fs::fcntl_getfl(handle)?;
    if flags.contains(OFlags::PATH) {
        return Ok(Facts { object: Object::PathOnly, rights: Rights::empty() });
    }
    let access = access_rights(flags);
    let stat = device::stat(handle)?;
    let (object, rights) = match stat.kind() {
        FileType::Fifo => (Object::Pipe, access),
        FileType::Socket => (socket::identify(handle)?, RIGHTS),
        _ if device::is_memory(&stat) => {
            return section::memory_facts(handle, access, rustix::fs::fcntl_get_seals(handle)?);
        }
        _ if device::is_pidfd(&stat) => pidfd(handle, flags),
        _ if device::is_namespace(&stat) => (namespace(handle)?, access),
        _ if device::is_anonymous(&stat) => anonymous(handle, &stat)?,
        _ if device::is_buffer(&stat) => (Object::Composition, buffer_rights(access)),
        kind => return of_file_system(handle, &stat, kind, access, filesystems),
    };
    Ok(Facts { object, rights })
}

/// Returns the rights that correspond to the status flags of an open file.
pub(crate) fn access_rights(flags: OFlags) -> Rights {
    // With `O_APPEND` a holder can't choose the offset of a write, so the right is less than
    // `WRITE`.
    let write = match flags.contains(OFlags::APPEND) {
        true => Rights::APPEND,
        false => Rights::WRITE | Rights::APPEND,
    };
    match flags & OFlags::ACCMODE {
        OFlags::RDWR => Rights::READ | write,
        OFlags::WRONLY => write,
        OFlags::RDONLY => Rights::READ,
        // The file was opened with access mode 3 (open(2)), which permits `ioctl` only.
        _ => Rights::empty(),
    }
}

/// Identifies a pidfd. The flag `PIDFD_THREAD` (equal to `O_EXCL`) distinguishes a pidfd of a
/// thread. A thread's pidfd that was reopened by its file handle (Linux 6.14) lacks the flag: it
/// waits for the thread but signals the process, so it counts as neither. After the thread has
/// ended, the kernel can't distinguish such a pidfd from a pidfd of a process.
fn pidfd(handle: BorrowedHandle<'_>, flags: OFlags) -> (Object, Rights) {
    match flags.contains(OFlags::EXCL) {
        true => (Object::Thread, WAIT_AND_SIGNAL),
        false if process::is_thread(handle) => (Object::Other, Rights::empty()),
        false => (Object::Process, WAIT_AND_SIGNAL),
    }
}

fn namespace(handle: BorrowedHandle<'_>) -> io::Result<Object> {
    Ok(match ioctl::namespace_type(handle)? {
        libc::CLONE_NEWUSER => Object::Token,
        _ => Object::Other,
    })
}

/// Identifies an object with an anonymous inode. `stat` is the same for all of these.
fn anonymous(handle: BorrowedHandle<'_>, stat: &Stat) -> io::Result<(Object, Rights)> {
    let mut room = fdinfo::Room::new();
    let info = fdinfo::read(handle, stat, &mut room)?;
    let object = match info.eventfd() {
        Some(Eventfd::Semaphore) => Object::Semaphore,
        Some(Eventfd::Event | Eventfd::Unknown) => Object::Event,
        None => return other_anonymous(&info),
    };
    Ok((object, WAIT_AND_SIGNAL))
}

fn other_anonymous(info: &FdInfo<'_>) -> io::Result<(Object, Rights)> {
    let object = match () {
        () if info.has("clockid:") && info.has("ticks:") => Object::Timer,
        // Before Linux 6.9, there are no pidfds of threads.
        () if info.has("Pid:") => Object::Process,
        () => return Ok((Object::Other, Rights::empty())),
    };
    Ok((object, WAIT_AND_SIGNAL))
}

/// Identifies a file that has none of the kernel's internal device numbers.
fn of_file_system(
    handle: BorrowedHandle<'_>,
    stat: &Stat,
    kind: FileType,
    access: Rights,
    filesystems: &Filesystems,
) -> io::Result<Facts> {
    let facts = |object| Ok(Facts { object, rights: access });
    match filesystems.judge(handle, stat) {
        Ok(Verdict::ControlGroups) if kind == FileType::Directory => facts(Object::Job),
        Ok(Verdict::Special | Verdict::ControlGroups) if kind == FileType::RegularFile => {
            facts(Object::SpecialFile)
        }
        Ok(Verdict::Trusted | Verdict::Special | Verdict::ControlGroups) => facts(by_type(kind)),
        Ok(Verdict::Untrusted) => Ok(UNJUDGED),
        _ if kind == FileType::RegularFile && rustix::fs::fcntl_get_seals(handle).is_ok() => {
            in_memory(handle, access, filesystems)
        }
        // Only internal objects of the kernel have no file type, and no file system can delay
        // queries about them.
        Ok(Verdict::Unknown)
            if kind == FileType::Unknown
                && fdinfo::read(handle, stat, &mut fdinfo::Room::new())?.has("exp_name:") =>
        {
            device::remember_buffer(stat);
            Ok(Facts { object: Object::Composition, rights: buffer_rights(access) })
        }
        Ok(Verdict::Unknown) => match by_type(kind) {
            Object::Other => Ok(Facts { object: Object::Other, rights: Rights::empty() }),
            Object::RegularFile
                if filesystems.allow_any() && policy::has_special_number(handle)? =>
            {
                facts(Object::SpecialFile)
            }
            object if filesystems.allow_any() => facts(object),
            _ => Ok(UNJUDGED),
        },
        Err(error) => Err(error),
    }
}

/// Maps the type of a file on a trusted file system to an object.
fn by_type(kind: FileType) -> Object {
    match kind {
        FileType::RegularFile => Object::RegularFile,
        FileType::Directory => Object::Directory,
        FileType::CharacterDevice | FileType::BlockDevice => Object::Device,
        _ => Object::Other,
    }
}

/// Identifies a file that has seals, including one that only has the seal against more seals. The
/// kernel keeps such a file in memory, so no peer can delay queries about it, wherever it is
/// mounted.
fn in_memory(
    handle: BorrowedHandle<'_>,
    access: Rights,
    filesystems: &Filesystems,
) -> io::Result<Facts> {
    let seals = rustix::fs::fcntl_get_seals(handle)?;
    let is_memory_file = seals != SealFlags::SEAL
        || rustix::fs::fstatfs(handle)?.f_type as u64 & MAGIC_MASK == HUGETLBFS_MAGIC;
    match is_memory_file {
        true => section::memory_facts(handle, access, seals),
        false if filesystems.allows("tmpfs") => {
            Ok(Facts { object: Object::RegularFile, rights: access })
        }
        false => Ok(UNJUDGED),
    }
}

/// Returns the rights of a dma-buf. It can always be mapped, with the access mode of its
/// descriptor.
fn buffer_rights(access: Rights) -> Rights {
    access.difference(Rights::APPEND) | Rights::MAP
}

pub(crate) const WAIT_AND_SIGNAL: Rights = Rights::WAIT.union(Rights::SIGNAL);

const UNJUDGED: Facts = Facts { object: Object::Unjudged, rights: Rights::empty() };

/// From `linux/magic.h`. Magic numbers have 32 bits, but the width of the field depends on the
/// architecture.
const HUGETLBFS_MAGIC: u64 = 0x9584_58f6;
const MAGIC_MASK: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_pipe_has_a_direction() {
        let (reader, writer) = io::pipe().unwrap();
        let read = identify(reader.as_fd()).unwrap();
        let write = identify(writer.as_fd()).unwrap();
        assert_eq!(read, Facts { object: Object::Pipe, rights: Rights::READ });
        assert_eq!(write, Facts { object: Object::Pipe, rights: Rights::WRITE | Rights::APPEND });
    }

    #[test]
    fn a_file_opened_for_neither_reading_nor_writing_has_no_rights() {
        let flags = OFlags::WRONLY | OFlags::RDWR | OFlags::CLOEXEC;
        let neither = rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty()).unwrap();
        assert!(rustix::io::read(&neither, &mut [0]).is_err());
        let facts = identify(neither.as_fd()).unwrap();
        assert_eq!(facts, Facts { object: Object::Device, rights: Rights::empty() });
    }

    #[test]
    fn a_pidfd_without_an_inode_of_its_own_is_told_by_what_proc_says() {
        // Before Linux 6.9, a pidfd has an anonymous inode.
        let process = crate::Process::current().unwrap();
        let stat = device::stat(&process).unwrap();
        let told = anonymous(process.as_fd(), &stat).unwrap();
        assert_eq!(told, (Object::Process, WAIT_AND_SIGNAL));
    }

    #[test]
    fn any_file_system_leaves_the_kernels_own_objects_what_they_are() {
        let epoll = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC);
        let namespace = std::fs::File::open("/proc/self/ns/net").unwrap();
        for handle in [epoll.unwrap(), namespace.into()] {
            let facts = identify_with(handle.as_fd(), &Filesystems::any()).unwrap();
            assert_eq!(facts.object, Object::Other);
        }
    }

    #[test]
    fn a_file_on_a_file_system_that_is_not_allowed_is_not_judged() {
        let file = std::fs::File::open("/proc/self/status").unwrap();
        assert_eq!(identify_with(file.as_fd(), &Filesystems::none()).unwrap(), UNJUDGED);
    }
}
