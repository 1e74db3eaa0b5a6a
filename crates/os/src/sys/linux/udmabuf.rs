//! Creates a dma-buf from ordinary memory, for tests.
#![expect(unsafe_code, reason = "the argument of an ioctl is raw memory")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::check;
use crate::Section;

/// `struct udmabuf_create` of `linux/udmabuf.h`.
#[repr(C)]
struct CreateRequest {
    memory: i32,
    flags: u32,
    offset: u64,
    size: u64,
}

/// Creates a dma-buf of one zeroed page.
///
/// # Errors
/// `NotFound` if `/dev/udmabuf` doesn't exist; `PermissionDenied`.
pub(crate) fn create() -> io::Result<OwnedFd> {
    let device = File::options().read(true).write(true).open("/dev/udmabuf")?;
    let size = rustix::param::page_size() as u64;
    let section = Section::new(size)?;
    let memory = std::os::fd::AsFd::as_fd(&section).as_raw_fd();
    let create = CreateRequest { memory, flags: CLOEXEC, offset: 0, size };
    // SAFETY: `UDMABUF_CREATE` reads a `CreateRequest`.
    let raw = check(unsafe { libc::ioctl(device.as_raw_fd(), UDMABUF_CREATE, &raw const create) })?;
    // SAFETY: on success, the kernel has opened this descriptor for this process, and no other
    // value owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

const CLOEXEC: u32 = 1;
const UDMABUF_CREATE: libc::Ioctl = libc::_IOW::<CreateRequest>(b'u' as u32, 0x42);
