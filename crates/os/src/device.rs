//! The devices of the kernel's internal file systems: where memory files, pidfds, namespaces and
//! anonymous inodes live, and nothing else does.
//!
//! No file of a mounted file system is on one of them, and each exists once, from boot on: so one
//! comparison with an object of our own tells what an object of somebody else's is.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use rustix::event::EventfdFlags;
use rustix::fs::{MemfdFlags, StatxFlags};
use rustix::process::PidfdFlags;

use crate::feature::{Feature, may_use};
use crate::proc;
use crate::sys;
use crate::sys::stat::Stat;
use crate::system_call::failed;

/// A device's number, as `statx` says it.
pub(crate) type Device = (u32, u32);

/// Asks for the type and place of a descriptor's file. No file system can hold this up: the
/// kernel answers from what it knows already.
pub(crate) fn stat(handle: impl AsFd) -> io::Result<Stat> {
    let mut mask = StatxFlags::TYPE | StatxFlags::MNT_ID;
    if may_use(Feature::UniqueMounts) {
        mask |= UNIQUE_MOUNT;
    }
    sys::stat::stat(handle.as_fd(), mask)
}

/// The device that a file is on.
pub(crate) const fn of(stat: &Stat) -> Device {
    stat.device
}

/// Whether a file is one that `memfd_create` made.
pub(crate) fn is_memory(stat: &Stat) -> bool {
    MEMORY.device().ok() == Some(of(stat))
}

/// Whether it has no inode of its own: an eventfd, a timerfd, an epoll; before Linux 6.9 a pidfd.
pub(crate) fn is_anonymous(stat: &Stat) -> bool {
    ANONYMOUS.device().ok() == Some(of(stat))
}

/// Whether it is a pidfd, from Linux 6.9 on.
pub(crate) fn is_pidfd(stat: &Stat) -> bool {
    !is_anonymous(stat) && PIDFS.device().ok() == Some(of(stat))
}

/// Whether it is a namespace.
pub(crate) fn is_namespace(stat: &Stat) -> bool {
    NSFS.device().ok() == Some(of(stat))
}

/// Learns all devices now, so that none has to be asked for in a sandbox.
///
/// # Errors
/// No descriptor left. A device that this system hasn't is no error: nobody can send what is on it.
pub(crate) fn learn() -> io::Result<()> {
    MEMORY.device()?;
    ANONYMOUS.device()?;
    // A sandbox or a system without /proc may not have these; they are asked for again if needed.
    let _ = (PIDFS.device(), NSFS.device());
    Ok(())
}

static MEMORY: Known = Known::new(|| {
    rustix::fs::memfd_create(c"probe", MemfdFlags::CLOEXEC).map_err(failed("memfd_create"))
});
static ANONYMOUS: Known =
    Known::new(|| rustix::event::eventfd(0, EventfdFlags::CLOEXEC).map_err(failed("eventfd2")));
static PIDFS: Known = Known::new(|| {
    let this = rustix::process::getpid();
    rustix::process::pidfd_open(this, PidfdFlags::empty()).map_err(failed("pidfd_open"))
});
static NSFS: Known =
    Known::new(|| proc::open_namespace("/proc/self/ns/user").map_err(proc::explained));

/// The device that all objects of one sort are on, learned from an object of our own.
struct Known {
    device: OnceLock<Device>,
    make: fn() -> io::Result<OwnedFd>,
}

impl Known {
    const fn new(make: fn() -> io::Result<OwnedFd>) -> Self {
        Self { device: OnceLock::new(), make }
    }

    /// Returns the device. If no object could be made, the next call tries again.
    fn device(&self) -> io::Result<Device> {
        if let Some(device) = self.device.get() {
            return Ok(*device);
        }
        let device = of(&stat((self.make)()?)?);
        let _ = self.device.set(device);
        Ok(device)
    }
}

/// Whether it is a dma-buf. Nothing makes one on any machine, so the first that comes has to be
/// told otherwise, and [remembered](remember_buffer).
pub(crate) fn is_buffer(stat: &Stat) -> bool {
    BUFFERS.get() == Some(&of(stat))
}

/// Remembers the device of what was found to be a dma-buf.
pub(crate) fn remember_buffer(stat: &Stat) {
    let _ = BUFFERS.set(of(stat));
}

static BUFFERS: OnceLock<Device> = OnceLock::new();

/// The number of the mount that a file was opened through, and whether it is one that is never
/// used for another.
pub(crate) fn mount(stat: &Stat) -> (u64, bool) {
    (stat.mount, stat.mask.contains(UNIQUE_MOUNT))
}

/// The number of the same mount that `/proc/self/mountinfo` says, which is used again later.
pub(crate) fn reused_mount(handle: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(sys::stat::stat(handle, StatxFlags::MNT_ID)?.mount)
}

/// `STATX_MNT_ID_UNIQUE` of `linux/stat.h`, Linux 6.8.
const UNIQUE_MOUNT: StatxFlags = StatxFlags::from_bits_retain(0x4000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_is_on_its_own_device() {
        let file = tempfile::tempfile().unwrap();
        let memory = rustix::fs::memfd_create(c"test", MemfdFlags::CLOEXEC).unwrap();
        let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let namespace = std::fs::File::open("/proc/self/ns/net").unwrap();
        let answers = |handle: BorrowedFd<'_>| {
            let stat = stat(handle).unwrap();
            [is_memory(&stat), is_anonymous(&stat), is_namespace(&stat), is_pidfd(&stat)]
        };
        assert_eq!(answers(file.as_fd()), [false; 4]);
        assert_eq!(answers(memory.as_fd()), [true, false, false, false]);
        assert_eq!(answers(event.as_fd()), [false, true, false, false]);
        assert_eq!(answers(namespace.as_fd()), [false, false, true, false]);
    }
}
