//! Memory that two processes share.
#![expect(unsafe_code, reason = "a mapping is raw memory")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// A mapping of a memory file.
#[derive(Debug)]
pub struct Map {
    start: *mut u8,
    len: usize,
}

// SAFETY: a mapping isn't bound to a thread.
unsafe impl Send for Map {}

impl Map {
    /// Maps the file, writable if `write` is set.
    ///
    /// # Errors
    /// The errors of [`mmap(2)`](https://man7.org/linux/man-pages/man2/mmap.2.html).
    pub fn new(file: impl AsFd, len: usize, write: bool) -> io::Result<Self> {
        let access = if write { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        let (fd, shared) = (file.as_fd().as_raw_fd(), libc::MAP_SHARED);
        // SAFETY: the kernel chooses the address of the new mapping, which overlaps no other one.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, access, shared, fd, 0) };
        match start == libc::MAP_FAILED {
            true => Err(io::Error::last_os_error()),
            false => Ok(Self { start: start.cast(), len }),
        }
    }

    /// Copies bytes to the start of a writable mapping.
    pub fn write(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.len, "too many bytes");
        // SAFETY: the range is inside the mapping, as asserted above, and no reference to it
        // exists.
        unsafe { self.start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Copies bytes from the start of the mapping.
    pub fn read(&self, bytes: &mut [u8]) {
        assert!(bytes.len() <= self.len, "too many bytes");
        // SAFETY: as above. If the other process writes during the copy, the bytes are arbitrary
        // but valid.
        unsafe { self.start.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: this value owns the whole mapping, and nothing refers to it.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}

/// Creates a memory file.
///
/// # Errors
/// The errors of `memfd_create(2)`.
pub fn memory_file(len: usize) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create("bench", rustix::fs::MemfdFlags::CLOEXEC)?;
    rustix::fs::ftruncate(&file, len as u64)?;
    Ok(file)
}
