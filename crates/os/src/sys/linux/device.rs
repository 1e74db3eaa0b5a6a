//! Device numbers of the kernel's internal file systems. These contain memory files, pidfds,
//! namespaces and anonymous inodes.
//!
//! No mounted file system has one of these device numbers, and each number is fixed at boot. So the
//! type of a received object can be determined by comparing its device number with the device
//! number of an object created here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use rustix::event::EventfdFlags;
use rustix::fs::{MemfdFlags, StatxFlags};
use rustix::process::PidfdFlags;

use crate::sys;
use crate::sys::feature::{Feature, may_use};
use crate::sys::proc;
use crate::sys::stat::Stat;
use crate::system_call::failed;

/// A device number (major, minor), as in `statx`.
pub(crate) type Device = (u32, u32);

/// Queries the type, device and inode of a descriptor's file. No file system can delay this,
/// because the kernel answers from its own memory.
pub(crate) fn stat(handle: impl AsFd) -> io::Result<Stat> {
    let mut mask = StatxFlags::TYPE | StatxFlags::MNT_ID;
    if may_use(Feature::UniqueMounts) {
        mask |= UNIQUE_MOUNT;
    }
    sys::stat::stat(handle.as_fd(), mask)
}

/// Returns the device number of a file.
pub(crate) const fn of(stat: &Stat) -> Device {
    stat.device
}

/// Returns whether a file was created by `memfd_create`.
pub(crate) fn is_memory(stat: &Stat) -> bool {
    MEMORY.device().ok() == Some(of(stat))
}

/// Returns whether the descriptor has an anonymous inode: an eventfd, a timerfd, an epoll
/// descriptor or, before Linux 6.9, a pidfd.
pub(crate) fn is_anonymous(stat: &Stat) -> bool {
    ANONYMOUS.device().ok() == Some(of(stat))
}

/// Returns whether the file is a pidfd. Works from Linux 6.9 on.
pub(crate) fn is_pidfd(stat: &Stat) -> bool {
    !is_anonymous(stat) && PIDFS.device().ok() == Some(of(stat))
}

/// Returns whether the file is a namespace.
pub(crate) fn is_namespace(stat: &Stat) -> bool {
    NSFS.device().ok() == Some(of(stat))
}

/// Determines all device numbers now, so that this isn't necessary in a sandbox later.
///
/// # Errors
/// Fails if this process can't open more file descriptors. An unsupported object type is not an
/// error, because no peer can send such an object.
pub(crate) fn learn() -> io::Result<()> {
    MEMORY.device()?;
    ANONYMOUS.device()?;
    // A sandbox or a system without `/proc` may lack these. They are determined again when needed.
    let _ = (PIDFS.device(), NSFS.device());
    Ok(())
}

static MEMORY: KernelDevice = KernelDevice::new(|| {
    rustix::fs::memfd_create(c"probe", MemfdFlags::CLOEXEC).map_err(failed("memfd_create"))
});
static ANONYMOUS: KernelDevice = KernelDevice::new(|| {
    rustix::event::eventfd(0, EventfdFlags::CLOEXEC).map_err(failed("eventfd2"))
});
static PIDFS: KernelDevice = KernelDevice::new(|| {
    let this = rustix::process::getpid();
    rustix::process::pidfd_open(this, PidfdFlags::empty()).map_err(failed("pidfd_open"))
});
static NSFS: KernelDevice =
    KernelDevice::new(|| proc::open_namespace("/proc/self/ns/user").map_err(proc::explained));

/// The device number of all objects of one type, read from an object created here.
struct KernelDevice {
    device: OnceLock<Device>,
    make: fn() -> io::Result<OwnedFd>,
}

impl KernelDevice {
    const fn new(make: fn() -> io::Result<OwnedFd>) -> Self {
        Self { device: OnceLock::new(), make }
    }

    /// Returns the device number. If no object could be created, the next call tries again.
    fn device(&self) -> io::Result<Device> {
        if let Some(device) = self.device.get() {
            return Ok(*device);
        }
        let device = of(&stat((self.make)()?)?);
        let _ = self.device.set(device);
        Ok(device)
    }
}

/// Returns whether the file has the known device number of dma-bufs. Not every machine can create a
/// dma-buf to read the number from. So the first one is identified by other means, and its number
/// is then [remembered](remember_buffer).
pub(crate) fn is_buffer(stat: &Stat) -> bool {
    BUFFERS.get() == Some(&of(stat))
}

/// Remembers the device number of an object that was identified as a dma-buf.
pub(crate) fn remember_buffer(stat: &Stat) {
    let _ = BUFFERS.set(of(stat));
}

static BUFFERS: OnceLock<Device> = OnceLock::new();

/// Returns the ID of the mount through which a file was opened, and whether IDs are never reused.
pub(crate) fn mount(stat: &Stat) -> (u64, bool) {
    (stat.mount, stat.mask.contains(UNIQUE_MOUNT))
}

/// Returns the mount ID that `/proc/self/mountinfo` shows. The kernel may reuse this ID after an
/// unmount.
pub(crate) fn reused_mount(handle: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(sys::stat::stat(handle, StatxFlags::MNT_ID)?.mount)
}

/// `STATX_MNT_ID_UNIQUE` of `linux/stat.h` (Linux 6.8).
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
