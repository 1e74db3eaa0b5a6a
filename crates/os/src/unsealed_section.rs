//! Shared memory without the seals that fix its size. Exists on Linux only.

use std::io;

use crate::owned::impl_owned;
use crate::{Declaration, Handle, Kind, OwnedHandle, Section, memory, sys};

/// Shared memory whose size any holder may change at any time.
#[derive(Debug)]
pub struct UnsealedSection(OwnedHandle);

impl_owned!(UnsealedSection, "memory", Declaration::kind(Kind::Section));

impl UnsealedSection {
    /// Creates a section of `len` zero bytes. Pages are allocated only when they are written.
    ///
    /// # Errors
    /// Returns the errors of `memfd_create(2)` and `ftruncate(2)`.
    pub fn new(len: u64) -> io::Result<Self> {
        sys::section::create_unsealed(len).map(Self)
    }

    /// Changes the size for all holders of the section. If it shrinks, the bytes beyond the new
    /// size are lost. If it grows, the added bytes are zero.
    ///
    /// # Errors
    /// Returns the errors of `ftruncate(2)`; `PermissionDenied` if a seal forbids it;
    /// `FileTooLarge` beyond the file size limit (`RLIMIT_FSIZE`).
    pub fn resize(&self, len: u64) -> io::Result<()> {
        memory::resize(self.as_handle(), len)
    }

    /// Permanently fixes the size.
    ///
    /// # Errors
    /// Returns the errors of `F_ADD_SEALS`, for example `PermissionDenied` if the section was
    /// sealed against more seals.
    pub fn seal_size(self) -> io::Result<Section> {
        sys::section::seal_size(self.as_handle())?;
        Ok(self.0.into())
    }

    /// Returns the current size in bytes.
    ///
    /// # Errors
    /// Returns the errors of `statx(2)`.
    #[expect(clippy::len_without_is_empty, reason = "`len` makes a kernel query")]
    pub fn len(&self) -> io::Result<u64> {
        sys::section::len(self.as_handle())
    }

    /// Copies bytes from the section by a system call.
    ///
    /// # Errors
    /// Returns the errors of [`Section::read`].
    pub fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        sys::section::read(self.as_handle(), offset, out)
    }

    /// Copies bytes into the section by a system call.
    ///
    /// # Errors
    /// Returns the errors of [`Section::write`].
    pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        sys::section::write(self.as_handle(), offset, bytes)
    }
}
