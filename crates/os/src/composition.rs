//! Compositions: buffers of devices, shared with a compositor.
//!
//! | | |
//! |---|---|
//! | object | a [dma-buf](https://docs.kernel.org/driver-api/dma-buf.html) |
//! | proof | `/proc/self/fdinfo` has `exp_name`, which it has for no other object; after the first one, `statx` shows the device of dma-bufs |
//! | rights | `read`, `write` and `map` by the access mode: enforced by the kernel when it is mapped. A device that imports the buffer may read and write it |
//! | `try_clone` | the same buffer |
//! | Windows | a handle to a DirectComposition surface, `sh_composition` |
//!
//! The buffer comes from a driver and does not describe its content. Format, stride and modifier
//! travel as ordinary parameters.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::SeekFrom;

use crate::handle::impl_handle;
use crate::identify::access_rights;
use crate::sys::{ioctl, map::Mapping};
use crate::{Declared, Kind, Rights, SectionMap};

/// A buffer of a device.
#[derive(Debug)]
pub struct Composition(OwnedFd);

impl_handle!(Composition => Declared::kind(Kind::Composition));

impl Composition {
    /// Returns the size in bytes, which never changes.
    ///
    /// # Errors
    /// Returns the errors of `lseek(2)`.
    #[expect(clippy::len_without_is_empty, reason = "a question to the kernel, not a field")]
    pub fn len(&self) -> io::Result<u64> {
        Ok(rustix::fs::seek(&self.0, SeekFrom::End(0))?)
    }

    /// Maps the buffer for copying from it and, with the right to write, to it. Writes of the
    /// device are visible only within [`Composition::access`].
    ///
    /// # Errors
    /// Returns the errors of `mmap(2)`. Some drivers don't allow mapping.
    pub fn map(&self) -> io::Result<SectionMap> {
        let access = access_rights(rustix::fs::fcntl_getfl(&self.0)?);
        let len = usize::try_from(self.len()?).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let writable = access.contains(Rights::WRITE);
        Mapping::new(self.0.as_fd(), len, writable).map(SectionMap::of)
    }

    /// Runs `step` while the processor and the device have the same view of the buffer.
    ///
    /// # Errors
    /// Returns the errors of `DMA_BUF_IOCTL_SYNC` and of `step`.
    pub fn access<R>(&self, step: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        ioctl::sync_buffer(self.0.as_fd(), SYNC_READ_WRITE)?;
        let result = step();
        ioctl::sync_buffer(self.0.as_fd(), SYNC_READ_WRITE | SYNC_END)?;
        result
    }

    /// Returns a second handle to the same buffer.
    ///
    /// # Errors
    /// Fails if no descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }
}

impl AsFd for Composition {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Composition {
    fn from(handle: OwnedFd) -> Self {
        Self(handle)
    }
}

impl From<Composition> for OwnedFd {
    fn from(composition: Composition) -> Self {
        composition.0
    }
}

// From linux/dma-buf.h.
const SYNC_READ_WRITE: u64 = 3;
const SYNC_END: u64 = 1 << 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::udmabuf;
    use crate::{Object, identify};

    #[test]
    fn a_buffer_of_a_device_is_told_mapped_and_copied() {
        let buffer = match udmabuf::create() {
            Ok(buffer) => buffer,
            Err(error) => return println!("skipped: no dma-buf can be made: {error}"),
        };
        for _ in 0..2 {
            let facts = identify(buffer.as_fd()).unwrap();
            assert_eq!(facts.object, Object::DeviceBuffer);
            assert!(facts.rights.contains(Rights::READ | Rights::MAP));
        }
        let composition = Composition::from(buffer);
        let map = composition.map().unwrap();
        assert_eq!(map.len() as u64, composition.len().unwrap());
        let mut out = [1; 4];
        composition.access(|| map.read(0, &mut out)).unwrap();
        assert_eq!(out, [0; 4]);
    }
}
