//! What `/proc/self/fdinfo` says of a descriptor: the one place that tells an event from a
//! semaphore, and what the kernel's own objects are on older kernels.
//!
//! To open such a file costs several times what it costs to read it, and received descriptors take
//! the same few numbers over and over: so the files stay open, each for a number and not for an
//! object, and are read afresh each time. At most [`SLOTS`] stay open.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::RwLock;

use crate::feature::{Feature, may_use};
use crate::sys::fork;

/// What the kernel prints about a descriptor, as far as it fits.
pub(crate) struct FdInfo<'r> {
    text: &'r [u8],
}

/// Room for it: the caller's, so that it isn't copied around.
pub(crate) struct Room([u8; LEN_MAX]);

impl Room {
    pub(crate) const fn new() -> Self {
        Self([0; LEN_MAX])
    }
}

/// Reads what the kernel says about a descriptor. It never asks a file system or a driver that
/// could stall.
///
/// # Errors
/// `Unsupported` without `/proc`; no descriptor left.
pub(crate) fn read<'r>(handle: BorrowedFd<'_>, room: &'r mut Room) -> io::Result<FdInfo<'r>> {
    if !may_use(Feature::Proc) {
        return Err(without_proc());
    }
    let number = handle.as_raw_fd();
    let Some(epoch) = fork::epoch() else {
        return read_start(&open(number)?, room);
    };
    let slot = &CACHE[number.unsigned_abs() as usize % SLOTS];
    // Never waits for a slot: a thread that held it may be missing in a copy of the process.
    if let Ok(kept) = slot.try_read()
        && let Some(kept) =
            kept.as_ref().filter(|kept| kept.number == number && kept.epoch == epoch)
    {
        return read_start(&kept.file, room);
    }
    let file = open(number)?;
    let info = read_start(&file, room)?;
    if let Ok(mut kept) = slot.try_write() {
        *kept = Some(Kept { number, epoch, file });
    }
    Ok(info)
}

impl FdInfo<'_> {
    /// Whether there is a line that starts like this.
    pub(crate) fn has(&self, start: &str) -> bool {
        self.rest(start).is_some()
    }

    /// The rest of the line that starts like this, without the space around it.
    pub(crate) fn value(&self, start: &str) -> Option<&str> {
        self.rest(start).map(str::trim)
    }

    fn rest(&self, start: &str) -> Option<&str> {
        let text = std::str::from_utf8(self.text).ok()?;
        // The object's own lines come last.
        text.rsplit('\n').find_map(|line| line.strip_prefix(start))
    }
}

/// How an eventfd counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eventfd {
    /// A read takes all of it.
    Event,
    /// A read takes one.
    Semaphore,
    /// The kernel doesn't say: before Linux 6.5.
    Unknown,
}

impl FdInfo<'_> {
    /// How the eventfd counts, if it is one.
    pub(crate) fn eventfd(&self) -> Option<Eventfd> {
        if !self.own()?.starts_with(b"eventfd-count:") {
            return None;
        }
        let says_mode = may_use(Feature::SemaphoreMode);
        // Its last line, of all kernels that print it so far: the rest needn't be looked at.
        if says_mode && self.text.ends_with(b"\neventfd-semaphore: 0\n") {
            return Some(Eventfd::Event);
        }
        Some(match self.value("eventfd-semaphore:").filter(|_| says_mode) {
            Some("0") => Eventfd::Event,
            Some(_) => Eventfd::Semaphore,
            None => Eventfd::Unknown,
        })
    }

    /// The lines of the object's own, after those that all have and the locks. The first one says
    /// what it is; in a later one there may be a text of somebody's choice, with lines of its own:
    /// the name of a dma-buf, a path in that of a bpf link.
    fn own(&self) -> Option<&[u8]> {
        let mut own = self.text;
        for name in ["pos:", "flags:", "mnt_id:"] {
            own = after_line(own, name)?;
        }
        // Whatever a newer kernel may print before the last line that all have.
        while !own.starts_with(b"ino:") {
            own = after_line(own, "")?;
        }
        own = after_line(own, "ino:")?;
        while own.starts_with(b"lock:") {
            own = after_line(own, "lock:")?;
        }
        Some(own)
    }
}

/// What comes after a line that starts like this. Byte by byte: that is quicker for lines this short.
#[inline]
fn after_line<'t>(text: &'t [u8], start: &str) -> Option<&'t [u8]> {
    let mut line = text.strip_prefix(start.as_bytes())?.iter();
    line.find(|&&byte| byte == b'\n')?;
    Some(line.as_slice())
}

/// The error where only `/proc` could tell.
pub(crate) fn without_proc() -> io::Error {
    io::Error::new(ErrorKind::Unsupported, "telling what this handle is needs /proc")
}

/// A file of `/proc/self/fdinfo` that stays open.
struct Kept {
    number: RawFd,
    /// The process that it speaks of: a copy made by `fork` must not read its parent's.
    epoch: u32,
    file: File,
}

static CACHE: [RwLock<Option<Kept>>; SLOTS] = [const { RwLock::new(None) }; SLOTS];

/// What a file starts with; a signal is no reason to know less.
fn read_start<'r>(file: &File, room: &'r mut Room) -> io::Result<FdInfo<'r>> {
    let len = rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut room.0[..], 0))?;
    Ok(FdInfo { text: &room.0[..len] })
}

fn open(number: RawFd) -> io::Result<File> {
    let path = format!("/proc/self/fdinfo/{number}");
    let opened = match File::open(&path) {
        // Out of descriptors: what is kept open here is the first to go.
        Err(error) if error.raw_os_error() == Some(libc::EMFILE) && evict() => File::open(&path),
        opened => opened,
    };
    opened.map_err(|error| match error.kind() {
        ErrorKind::NotFound => without_proc(),
        _ => error,
    })
}

/// Closes all files that stay open; says whether there was one.
fn evict() -> bool {
    CACHE.iter().filter_map(|slot| slot.try_write().ok()?.take()).count() > 0
}

/// More than the descriptors that usually travel at once.
const SLOTS: usize = 64;

/// The kernel prints a few general lines, then the locks held through the descriptor, then the
/// object's own. With so many locks that those don't fit the object isn't recognized.
const LEN_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::event::EventfdFlags;

    use super::*;
    use crate::feature::seam::without;

    #[test]
    fn a_number_that_comes_to_mean_another_object_is_read_afresh() {
        let event = rustix::event::eventfd(7, EventfdFlags::CLOEXEC).unwrap();
        assert_eq!(
            read(event.as_fd(), &mut Room::new()).unwrap().value("eventfd-count:"),
            Some("7")
        );
        let number = event.as_raw_fd();
        let (pipe, _) = io::pipe().unwrap();
        let mut event = event;
        rustix::io::dup2(&pipe, &mut event).unwrap();
        assert_eq!(event.as_raw_fd(), number);
        assert!(!read(event.as_fd(), &mut Room::new()).unwrap().has("eventfd-count:"));
    }

    #[test]
    fn a_name_that_reads_like_an_event_makes_none() {
        let printed = |own: &str| {
            let text = format!("pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t7\n{own}");
            FdInfo { text: text.as_bytes() }.eventfd()
        };
        let event = "eventfd-count:                0\neventfd-id: 3\neventfd-semaphore: 0\n";
        assert_eq!(printed(event), Some(Eventfd::Event));
        let lock = "lock:\t1: FLOCK  ADVISORY  WRITE 9 00:0f:7 0 EOF\n";
        assert_eq!(printed(&format!("{lock}{event}")), Some(Eventfd::Event));
        assert_eq!(printed(&event.replace(": 0", ": 1")), Some(Eventfd::Semaphore));
        // As a dma-buf prints itself, whose name anybody who holds it chooses.
        let buffer = "size:\t4096\ncount:\t1\nexp_name:\tudmabuf\nname:\tx";
        assert_eq!(printed(&format!("{buffer}\neventfd-semaphore: 0\n")), None);
        assert_eq!(printed(&format!("{buffer}\neventfd-count: 0\n")), None);
    }

    #[test]
    fn without_proc_the_error_says_so() {
        let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let error = without(Feature::Proc, || read(event.as_fd(), &mut Room::new()).err().unwrap());
        assert_eq!(error.to_string(), "telling what this handle is needs /proc");
    }
}
