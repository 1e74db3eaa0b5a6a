//! Reads the kernel's description of a descriptor in `/proc/self/fdinfo`. It is the only way to
//! distinguish an event from a semaphore and, on older kernels, to identify some other kernel
//! objects.

use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;

use crate::sys::feature::{Feature, may_use};
use crate::sys::probe;
use crate::sys::stat::Stat;

/// The kernel's description of a descriptor, truncated to the size of the buffer.
pub(crate) struct FdInfo<'r> {
    text: &'r [u8],
    /// The offset of the lines that are specific to the type of the object.
    own: usize,
}

/// The buffer for the description. The caller owns it, so that the text isn't copied.
pub(crate) struct Room(pub(crate) [u8; LEN_MAX]);

impl Room {
    pub(crate) const fn new() -> Self {
        Self([0; LEN_MAX])
    }
}

/// Reads the description of an object that is on no mounted file system, such as an eventfd. `stat`
/// is the result of [`device::stat`](crate::sys::device::stat) for the object.
///
/// A file of a mounted file system must not be passed. The function closes a duplicate of its
/// descriptor, and a file system in user space could delay that.
///
/// # Errors
/// Returns the error of [`probe::read`], and `Unsupported` if `/proc` isn't mounted.
pub(crate) fn read<'r>(
    handle: BorrowedFd<'_>,
    stat: &Stat,
    room: &'r mut Room,
) -> io::Result<FdInfo<'r>> {
    if !may_use(Feature::Proc) {
        return Err(without_proc());
    }
    let own = probe::read(handle, stat.inode, &mut room.0)?;
    Ok(FdInfo { text: &room.0[..own.end], own: own.start })
}

/// Parses the lines that every descriptor has. Returns the inode number and the offset after these
/// lines.
pub(crate) fn general(text: &[u8]) -> Option<(u64, usize)> {
    let mut rest = text;
    for name in ["pos:", "flags:", "mnt_id:"] {
        rest = after_line(rest, name)?;
    }
    // A newer kernel may print more lines before `ino:`.
    while !rest.starts_with(b"ino:") {
        rest = after_line(rest, "")?;
    }
    let value = rest.strip_prefix(b"ino:")?;
    let mut inode = None;
    for (at, byte) in value.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                let digit = u64::from(byte - b'0');
                inode = Some(inode.unwrap_or(0_u64).checked_mul(10)?.checked_add(digit)?);
            }
            b'\n' => return Some((inode?, text.len() - value.len() + at + 1)),
            b'\t' | b' ' if inode.is_none() => {}
            _ => return None,
        }
    }
    None
}

impl FdInfo<'_> {
    /// Returns whether a line has this prefix.
    pub(crate) fn has(&self, start: &str) -> bool {
        self.rest(start).is_some()
    }

    /// Returns the trimmed rest of the line with this prefix.
    pub(crate) fn value(&self, start: &str) -> Option<&str> {
        self.rest(start).map(str::trim)
    }

    fn rest(&self, start: &str) -> Option<&str> {
        let text = std::str::from_utf8(self.text).ok()?;
        // Searches from the end, because the lines that are specific to the object come last.
        text.rsplit('\n').find_map(|line| line.strip_prefix(start))
    }
}

/// The effect of a read on the counter of an eventfd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eventfd {
    /// A read sets the counter to zero.
    Event,
    /// A read subtracts one from the counter.
    Semaphore,
    /// Unknown, because the kernel doesn't print the mode (before Linux 6.5).
    Unknown,
}

impl FdInfo<'_> {
    /// Returns the mode of the eventfd, or `None` if the object is not an eventfd.
    pub(crate) fn eventfd(&self) -> Option<Eventfd> {
        if !self.own().starts_with(b"eventfd-count:") {
            return None;
        }
        let says_mode = may_use(Feature::SemaphoreMode);
        // Fast path: all kernels so far print this line last, so the other lines need not be
        // searched.
        if says_mode && self.text.ends_with(b"\neventfd-semaphore: 0\n") {
            return Some(Eventfd::Event);
        }
        Some(match self.value("eventfd-semaphore:").filter(|_| says_mode) {
            Some("0") => Eventfd::Event,
            Some(_) => Eventfd::Semaphore,
            None => Eventfd::Unknown,
        })
    }

    /// Returns the lines that are specific to the object, which follow the common lines and the
    /// locks. The first of them identifies the object. Later lines may contain text that a user has
    /// chosen, including line breaks, such as the name of a dma-buf or a path of a bpf link.
    fn own(&self) -> &[u8] {
        let mut own = &self.text[self.own..];
        while own.starts_with(b"lock:") {
            own = after_line(own, "lock:").unwrap_or_default();
        }
        own
    }
}

/// Returns the text after the line if it has this prefix. Compares byte by byte, which is faster
/// for such short lines.
#[inline]
fn after_line<'t>(text: &'t [u8], start: &str) -> Option<&'t [u8]> {
    let mut rest = text.strip_prefix(start.as_bytes())?;
    while let [byte, more @ ..] = rest {
        rest = more;
        if *byte == b'\n' {
            return Some(rest);
        }
    }
    None
}

/// Returns the error for a query that needs `/proc`.
pub(crate) fn without_proc() -> io::Error {
    io::Error::new(ErrorKind::Unsupported, "telling what this handle is needs /proc")
}

/// The size of the buffer. The kernel prints a few common lines, then the locks held through the
/// descriptor, then the lines specific to the object. If the locks fill the buffer, the object
/// isn't recognized.
const LEN_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::event::EventfdFlags;

    use super::*;
    use crate::sys::device;
    use crate::sys::feature::seam::without;

    #[test]
    fn the_inode_number_is_the_one_of_the_general_lines() {
        let printed = |rest: &str| general(format!("pos:\t0\nflags:\t02\n{rest}").as_bytes());
        assert_eq!(printed("mnt_id:\t15\nino:\t1042\nname:\tx\nino:\t7\n"), Some((1042, 38)));
        assert_eq!(printed("mnt_id:\t15\nnew:\t1\nino:\t7\n"), Some((7, 42)));
        assert_eq!(printed("mnt_id:\t15\nino:\t\n"), None);
        assert_eq!(printed("mnt_id:\t15\nino:\t99999999999999999999\n"), None);
        assert_eq!(printed("ino:\t7\n"), None);
    }

    #[test]
    fn a_name_that_reads_like_an_event_makes_none() {
        let printed = |own: &str| {
            let text = format!("pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t7\n{own}");
            let own = general(text.as_bytes()).unwrap().1;
            FdInfo { text: text.as_bytes(), own }.eventfd()
        };
        let event = "eventfd-count:                0\neventfd-id: 3\neventfd-semaphore: 0\n";
        assert_eq!(printed(event), Some(Eventfd::Event));
        let lock = "lock:\t1: FLOCK  ADVISORY  WRITE 9 00:0f:7 0 EOF\n";
        assert_eq!(printed(&format!("{lock}{event}")), Some(Eventfd::Event));
        assert_eq!(printed(&event.replace(": 0", ": 1")), Some(Eventfd::Semaphore));
        // The description of a dma-buf, whose name any holder can choose.
        let buffer = "size:\t4096\ncount:\t1\nexp_name:\tudmabuf\nname:\tx";
        assert_eq!(printed(&format!("{buffer}\neventfd-semaphore: 0\n")), None);
        assert_eq!(printed(&format!("{buffer}\neventfd-count: 0\n")), None);
    }

    #[test]
    fn without_proc_the_error_says_so() {
        let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let stat = device::stat(&event).unwrap();
        let error =
            without(Feature::Proc, || read(event.as_fd(), &stat, &mut Room::new()).err().unwrap());
        assert_eq!(error.to_string(), "telling what this handle is needs /proc");
    }
}
