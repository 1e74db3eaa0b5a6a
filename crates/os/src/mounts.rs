//! The mounts of this process, as `/proc/self/mountinfo` lists them: which type of file system each
//! is, by the number of the mount and by its device.
//!
//! The file stays open. The kernel tells on it when something was mounted or unmounted, so the table
//! is read again only then, however many files of unknown mounts a peer sends; and a process that was
//! prepared can read it in a sandbox in which it can't open any file.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use crate::device::Device;
use crate::fdinfo::without_proc;
use crate::feature::{Feature, may_use};
use crate::sys::fork::PerProcess;

/// Returns the type of the file system that a mount is of, by the mount's number as in `mountinfo`, or
/// else by the file system's device. `None` if this mount namespace has neither.
///
/// # Errors
/// `Unsupported` without `/proc`; the file can't be opened in a sandbox.
pub(crate) fn file_system(number: u64, device: Device) -> io::Result<Option<Arc<str>>> {
    if !may_use(Feature::Proc) {
        return Err(without_proc());
    }
    let Some(mut mounts) = MOUNTS.lock() else {
        return Ok(Mounts::open()?.table()?.file_system(number, device));
    };
    let found = opened(&mut mounts)?.table()?.file_system(number, device);
    if found.is_some() || !opened(&mut mounts)?.has_moved() {
        return Ok(found);
    }
    let moved = mounts.insert(Mounts::open()?);
    Ok(moved.table()?.file_system(number, device))
}

/// Opens the file, so that no file has to be opened later. It is read when it is first needed, because
/// that takes long where there are thousands of mounts.
///
/// # Errors
/// The file can't be opened.
pub(crate) fn prepare() -> io::Result<()> {
    let unsupported = "this kernel can't clear memory on fork (MADV_WIPEONFORK)";
    let mut mounts =
        MOUNTS.lock().ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, unsupported))?;
    opened(&mut mounts).map(drop)
}

static MOUNTS: PerProcess<Mutex<Option<Mounts>>> = PerProcess::new();

fn opened(mounts: &mut Option<Mounts>) -> io::Result<&mut Mounts> {
    match mounts {
        Some(mounts) => Ok(mounts),
        none => Ok(none.insert(Mounts::open()?)),
    }
}

/// The mounts of one namespace.
#[derive(Debug)]
struct Mounts {
    file: OwnedFd,
    /// The inode number of the mount namespace, if it could be asked.
    namespace: Option<u64>,
    table: Option<Table>,
    /// The number of times that the table was read.
    readings: u32,
}

/// The types of file systems.
#[derive(Debug, Default)]
struct Table {
    names: HashMap<Box<str>, Arc<str>>,
    by_number: HashMap<u64, Arc<str>>,
    by_device: HashMap<Device, Arc<str>>,
}

impl Mounts {
    fn open() -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::open(c"/proc/thread-self/mountinfo", flags, Mode::empty());
        let file = file.map_err(|error| match error {
            Errno::NOENT => without_proc(),
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => error.into(),
            error => {
                let error = io::Error::from(error);
                let what = format!(
                    "/proc/self/mountinfo can't be opened to tell which file system a file is on: \
                     {error}; call syshandle::prepare() before the process is confined"
                );
                io::Error::new(error.kind(), what)
            }
        })?;
        Ok(Self { file, namespace: own_namespace(), table: None, readings: 0 })
    }

    /// Returns the table, which is read if it wasn't or if something has changed since.
    fn table(&mut self) -> io::Result<&Table> {
        if self.has_changed()? {
            self.table = None;
        }
        match &mut self.table {
            Some(table) => Ok(table),
            none => {
                self.readings += 1;
                Ok(none.insert(Table::parse(&read(&self.file)?)))
            }
        }
    }

    /// Returns whether something was mounted or unmounted since this was asked last.
    fn has_changed(&self) -> io::Result<bool> {
        let mut polls = [PollFd::new(&self.file, PollFlags::PRI)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match rustix::event::poll(&mut polls, Some(&now)) {
            Ok(count) => Ok(count > 0),
            // A signal came: reading the table again is always right.
            Err(Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns whether this thread has gone to another namespace; `false` if the kernel can't be asked.
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
    name: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(' ');
        let number = fields.next()?.parse().ok()?;
        let (major, minor) = fields.nth(1)?.split_once(':')?;
        let (_, after) = line.split_once(" - ")?;
        let name = after.split(' ').next()?;
        Some(Self { number, device: (major.parse().ok()?, minor.parse().ok()?), name })
    }
}

/// Reads the whole file from its start. A path in it may be no UTF-8; the fields that matter are ASCII.
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
    fn a_mount_is_found_by_its_number_before_its_device() {
        let table = Table::parse("1 0 0:7 / / rw - ext4 /dev/a rw\n2 1 0:8 / /b rw - xfs b rw\n");
        let found = |number, device| table.file_system(number, device);
        assert_eq!(found(1, (0, 8)).as_deref(), Some("ext4"));
        assert_eq!(found(9, (0, 8)).as_deref(), Some("xfs"));
        assert_eq!(found(9, (0, 9)), None);
    }

    #[test]
    fn files_of_unknown_mounts_have_the_table_read_once() {
        let mut mounts = Mounts::open().unwrap();
        for number in 0..1000 {
            mounts.table().unwrap().file_system(u64::MAX - number, (0xfff, number as u32));
        }
        // Other programs may mount something at the same time.
        assert!(mounts.readings < 100, "{} readings", mounts.readings);
    }
}
