//! The mounts of this process, from `/proc/self/mountinfo`. Maps a mount ID, or the device number
//! of a file system, to the type of the file system.
//!
//! The file is kept open. The kernel signals on it when something was mounted or unmounted, so the
//! table is only read again then, even if a peer sends many files on unknown mounts. A prepared
//! process can also read the table in a sandbox in which it can't open files.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;

use crate::sys::device::Device;
use crate::sys::fdinfo::without_proc;
use crate::sys::feature::{Feature, may_use};
use crate::sys::fork::PerProcess;
use crate::sys::proc;
use crate::sys::stat::stat;
use crate::system_call::failed;

/// Returns the type of a mounted file system. Searches by mount ID first, and then by the device
/// number of the file system. Returns `None` if this mount namespace has neither.
///
/// # Errors
/// `Unsupported` if `/proc` isn't mounted. In a sandbox, the error of opening the file.
pub(crate) fn file_system(number: u64, device: Device) -> io::Result<Option<Arc<str>>> {
    if !may_use(Feature::Proc) {
        return Err(without_proc());
    }
    let Some(mut mounts) = MOUNTS.lock() else {
        return Ok(Mounts::open()?.table()?.file_system(number, device));
    };
    let found = opened(&mut mounts)?.table()?.file_system(number, device);
    if found.is_some() || OPENS_NOTHING.load(Ordering::Relaxed) || !opened(&mut mounts)?.has_moved()
    {
        return Ok(found);
    }
    let moved = mounts.insert(Mounts::open()?);
    Ok(moved.table()?.file_system(number, device))
}

/// Opens no file from now on, because a sandbox might kill a process that tries to.
pub(crate) fn open_nothing() {
    OPENS_NOTHING.store(true, Ordering::Relaxed);
}

static OPENS_NOTHING: AtomicBool = AtomicBool::new(false);

/// Opens the file, so that it need not be opened later. Reading the table takes long on a machine
/// with thousands of mounts, so it is only read when needed.
///
/// # Errors
/// Fails if the file can't be opened.
pub(crate) fn prepare() -> io::Result<()> {
    let unsupported = "this kernel can't clear memory on fork (MADV_WIPEONFORK)";
    let mut mounts =
        MOUNTS.lock().ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, unsupported))?;
    opened(&mut mounts).map(drop)
}

/// Returns the type of the file system of a handle, for types whose files have other device numbers
/// than their mounts (btrfs, overlay). This recognizes files that were opened in another mount
/// namespace.
///
/// The kernel compares the file systems of two files before it clones one into the other
/// (`FICLONE`), without asking either file system. Here the other file is the root directory of a
/// mount, which can't be cloned, so only the comparison takes place.
///
/// # Errors
/// Returns the errors of [`file_system`].
pub(crate) fn shared_file_system(handle: BorrowedFd<'_>) -> io::Result<Option<Arc<str>>> {
    if OPENS_NOTHING.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let Some(mut mounts) = MOUNTS.lock() else { return Ok(None) };
    let table = opened(&mut mounts)?.table()?;
    let shared = table.roots.iter().find(|root| {
        root.open().is_some_and(|directory| {
            rustix::fs::ioctl_ficlone(&directory, handle) == Err(Errno::ISDIR)
        })
    });
    Ok(shared.map(|root| root.name.clone()))
}

static MOUNTS: PerProcess<Mutex<Option<Mounts>>> = PerProcess::new();

fn opened(mounts: &mut Option<Mounts>) -> io::Result<&mut Mounts> {
    match mounts {
        Some(mounts) => Ok(mounts),
        none => Ok(none.insert(Mounts::open()?)),
    }
}

/// The mounts of one mount namespace.
#[derive(Debug)]
struct Mounts {
    file: OwnedFd,
    /// The inode number of the mount namespace; `None` if it could not be read.
    namespace: Option<u64>,
    table: Option<Table>,
}

/// The types of the mounted file systems.
#[derive(Debug, Default)]
struct Table {
    names: HashMap<Box<str>, Arc<str>>,
    by_number: HashMap<u64, Arc<str>>,
    by_device: HashMap<Device, Arc<str>>,
    /// One mount of each file system whose files have other device numbers than their mounts.
    roots: Vec<Root>,
}

/// The root directory of a mount.
#[derive(Debug)]
struct Root {
    number: u64,
    device: Device,
    path: PathBuf,
    name: Arc<str>,
}

impl Root {
    /// Opens the directory if that involves no other file system. Looks the path up only in the
    /// kernel's cache, and checks that it leads to this mount.
    fn open(&self) -> Option<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let cached = ResolveFlags::CACHED;
        let place = rustix::fs::openat2(CWD, &self.path, flags, Mode::empty(), cached).ok()?;
        let stat = stat(place.as_fd(), StatxFlags::MNT_ID).ok()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let is_this = stat.mount == self.number;
        is_this.then(|| rustix::fs::openat(&place, c".", flags, Mode::empty()).ok())?
    }
}

impl Mounts {
    fn open() -> io::Result<Self> {
        let file = proc::open("/proc/thread-self/mountinfo").map_err(|error| match error {
            Errno::NOENT => without_proc(),
            Errno::OPNOTSUPP => proc::explained(error),
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => failed("openat")(error),
            error => {
                let error = io::Error::from(error);
                let what = format!(
                    "/proc/self/mountinfo can't be opened to tell which file system a file is on: \
                     {error}; call syshandle::direct::prepare() before the process is confined"
                );
                io::Error::new(error.kind(), what)
            }
        })?;
        Ok(Self { file, namespace: own_namespace(), table: None })
    }

    /// Returns the table. Reads it again if something was mounted or unmounted.
    fn table(&mut self) -> io::Result<&Table> {
        if self.has_changed()? {
            self.table = None;
        }
        match &mut self.table {
            Some(table) => Ok(table),
            none => Ok(none.insert(Table::parse(&read(&self.file)?))),
        }
    }

    /// Returns whether something was mounted or unmounted since the last call.
    fn has_changed(&self) -> io::Result<bool> {
        let mut polls = [PollFd::new(&self.file, PollFlags::PRI)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match rustix::event::poll(&mut polls, Some(&now)) {
            Ok(count) => Ok(count > 0),
            // A signal leaves this unknown. Reading the table again is always correct.
            Err(Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns whether this thread has entered another mount namespace. Returns `false` if that
    /// can't be determined.
    fn has_moved(&self) -> bool {
        own_namespace().is_some_and(|namespace| Some(namespace) != self.namespace)
    }
}

impl Table {
    fn parse(text: &str) -> Self {
        let mut table = Self::default();
        for mount in text.lines().filter_map(Mount::parse) {
            let name = match table.names.get(mount.name) {
                Some(name) => name.clone(),
                None => {
                    let name: Arc<str> = mount.name.into();
                    table.names.insert(mount.name.into(), name.clone());
                    name
                }
            };
            if SHOW_OTHER_DEVICES.contains(&mount.name)
                && table.roots.len() < ROOTS_MAX
                && !table.roots.iter().any(|root| root.device == mount.device)
            {
                let (number, device, path) = (mount.number, mount.device, unescape(mount.path));
                table.roots.push(Root { number, device, path, name: name.clone() });
            }
            table.by_number.insert(mount.number, name.clone());
            table.by_device.entry(mount.device).or_insert(name);
        }
        table
    }

    fn file_system(&self, number: u64, device: Device) -> Option<Arc<str>> {
        self.by_number.get(&number).or_else(|| self.by_device.get(&device)).cloned()
    }
}

/// A line of `mountinfo`.
struct Mount<'a> {
    number: u64,
    device: Device,
    path: &'a str,
    name: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(' ');
        let number = fields.next()?.parse().ok()?;
        let (major, minor) = fields.nth(1)?.split_once(':')?;
        let path = fields.nth(1)?;
        let (_, after) = line.split_once(" - ")?;
        let name = after.split(' ').next()?;
        let device = (major.parse().ok()?, minor.parse().ok()?);
        Some(Self { number, device, path, name })
    }
}

/// File systems whose files have a separate device number per subvolume or layer.
const SHOW_OTHER_DEVICES: [&str; 3] = ["bcachefs", "btrfs", "overlay"];

/// Maximum number of stored roots. If there are more such file systems, files of the others aren't
/// recognized when they were opened in another mount namespace.
const ROOTS_MAX: usize = 64;

/// Decodes a path in `mountinfo`, in which spaces and backslashes are written as octal escapes.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| first == b'\\');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Reads the whole file from its start. Paths may contain invalid UTF-8, but the relevant fields
/// are ASCII.
fn read(file: &OwnedFd) -> io::Result<String> {
    let (mut text, mut part) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let offset = text.len() as u64;
        match rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut part[..], offset))? {
            0 => return Ok(String::from_utf8_lossy(&text).into_owned()),
            len => text.extend_from_slice(&part[..len]),
        }
    }
}

fn own_namespace() -> Option<u64> {
    let path = c"/proc/thread-self/ns/mnt";
    rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::INO).ok().map(|stat| stat.stx_ino)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo_is_parsed() {
        let line = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw";
        let mount = Mount::parse(line).unwrap();
        assert_eq!((mount.number, mount.device, mount.name), (36, (98, 0), "ext3"));
        assert!(Mount::parse("36 35 98").is_none());
    }

    #[test]
    fn a_path_with_spaces_is_unescaped() {
        assert_eq!(unescape("/a\\040b\\134c"), PathBuf::from("/a b\\c"));
        assert_eq!(unescape("/a\\9"), PathBuf::from("/a\\9"));
    }

    #[test]
    fn a_mount_is_found_by_its_number_before_its_device() {
        let table = Table::parse("1 0 0:7 / / rw - ext4 /dev/a rw\n2 1 0:8 / /b rw - xfs b rw\n");
        let found = |number, device| table.file_system(number, device);
        assert_eq!(found(1, (0, 8)).as_deref(), Some("ext4"));
        assert_eq!(found(9, (0, 8)).as_deref(), Some("xfs"));
        assert_eq!(found(9, (0, 9)), None);
    }
}
