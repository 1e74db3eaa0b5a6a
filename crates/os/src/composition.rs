//! Compositions: images and buffers that are shared with a compositor.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | a [dma-buf](https://docs.kernel.org/driver-api/dma-buf.html) | a surface of [DirectComposition](https://learn.microsoft.com/windows/win32/directcomp/directcomposition-portal) |
//! | proof | `/proc/self/fdinfo` has `exp_name`, which it has for no other object. The first proof learns the device number of dma-bufs, and later proofs only compare it with the one in `statx` | the object's type is `Composition` or `DxgkCompositionObject` |
//! | rights | `read`, `write` and `map` by the access mode: enforced by the kernel when the buffer is mapped. A device that imports the buffer may read and write it | none that can be queried |
//! | `try_clone` | the same buffer | the same surface |
//! | MIDL | | `sh_composition` |
//!
//! On Linux, a device driver creates the buffer, which does not describe its content. Format,
//! stride and modifier are passed as ordinary parameters. On Windows,
//! `DCompositionCreateSurfaceHandle` creates a surface, and this type only passes it on.

use crate::owned::impl_owned;
use crate::{Declaration, Kind, OwnedHandle};
#[cfg(not(windows))]
use crate::{Handle, SectionMap, sys};

/// A device's graphics buffer on Linux, a DirectComposition surface on Windows.
#[derive(Debug)]
pub struct Composition(OwnedHandle);

impl_owned!(Composition, "composition", Declaration::kind(Kind::Composition));

/// Linux only: access to the content of the buffer.
#[cfg(not(windows))]
impl Composition {
    /// Returns the size in bytes, which never changes.
    ///
    /// # Errors
    /// Returns the errors of `lseek(2)`.
    #[expect(clippy::len_without_is_empty, reason = "`len` makes a kernel query")]
    pub fn len(&self) -> std::io::Result<u64> {
        sys::composition::len(self.as_handle())
    }

    /// Maps the buffer. The mapping copies from the buffer and, with the right to write, to it. Use
    /// [`Composition::access`] to see writes by the device.
    ///
    /// # Errors
    /// Returns the errors of `mmap(2)`. Some drivers don't allow mapping.
    pub fn map(&self) -> std::io::Result<SectionMap> {
        sys::composition::map(self.as_handle()).map(SectionMap::of)
    }

    /// Runs `step` with the processor's caches synchronized with the device (`DMA_BUF_IOCTL_SYNC`).
    ///
    /// # Errors
    /// Returns the errors of `DMA_BUF_IOCTL_SYNC` and of `step`.
    pub fn access<R>(&self, step: impl FnOnce() -> std::io::Result<R>) -> std::io::Result<R> {
        sys::composition::begin_access(self.as_handle())?;
        let result = step();
        sys::composition::end_access(self.as_handle())?;
        result
    }
}
