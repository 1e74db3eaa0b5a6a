//! Sections of the Windows kernel, and mapped views of them.
#![expect(unsafe_code, reason = "mapped memory is raw memory that another process may change")]

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr::{self, NonNull};

use windows_sys::Win32::Foundation::{DuplicateHandle, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_READ, FILE_MAP_WRITE, MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile,
    PAGE_READWRITE, SECTION_MAP_READ, SECTION_QUERY, UnmapViewOfFile,
};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::{check, check_status, own};
use crate::section::outside;
use crate::{Declaration, Kind};

/// The declaration of a section.
pub(crate) const DECLARATION: Declaration = Declaration::kind(Kind::Section);

pub(crate) fn create(len: u64) -> io::Result<OwnedHandle> {
    if len == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "an empty section can't be made"));
    }
    let (high, low) = ((len >> 32) as u32, len as u32);
    // SAFETY: the call gets no attributes and no name, and no file, so that the paging file backs
    // the section. The caller owns the returned handle.
    unsafe {
        own(CreateFileMappingW(
            INVALID_HANDLE_VALUE,
            ptr::null(),
            PAGE_READWRITE,
            high,
            low,
            ptr::null(),
        ))
    }
}

/// Replaces a handle by a read-only one.
pub(crate) fn freeze_new(section: OwnedHandle) -> io::Result<OwnedHandle> {
    let mut handle = ptr::null_mut();
    let access = SECTION_MAP_READ | SECTION_QUERY;
    // SAFETY: both processes are this process, and the handle is open. On success, the caller owns
    // the new handle.
    unsafe {
        let own_process = GetCurrentProcess();
        let raw = section.as_raw_handle();
        check(DuplicateHandle(own_process, raw, own_process, &mut handle, access, 0, 0))?;
        own(handle)
    }
}

pub(crate) fn len(section: BorrowedHandle<'_>) -> io::Result<u64> {
    let mut information = SectionBasicInformation { base: ptr::null_mut(), attributes: 0, size: 0 };
    let len = size_of::<SectionBasicInformation>();
    // SAFETY: the handle is open, and the structure has that size. The call doesn't return the
    // size, because that pointer is null.
    check_status(unsafe {
        let room = (&raw mut information).cast();
        NtQuerySection(section.as_raw_handle(), 0, room, len, ptr::null_mut())
    })?;
    Ok(information.size)
}

pub(crate) fn map(section: BorrowedHandle<'_>) -> io::Result<Mapping> {
    Mapping::new(section)
}

pub(crate) fn read(section: BorrowedHandle<'_>, offset: u64, out: &mut [u8]) -> io::Result<()> {
    match map(section)?.copy(usize::try_from(offset).unwrap_or(usize::MAX), out) {
        true => Ok(()),
        false => Err(outside(io::ErrorKind::InvalidInput)),
    }
}

pub(crate) fn write(section: BorrowedHandle<'_>, offset: u64, bytes: &[u8]) -> io::Result<()> {
    match map(section)?.write(usize::try_from(offset).unwrap_or(usize::MAX), bytes) {
        true => Ok(()),
        false => Err(outside(io::ErrorKind::InvalidInput)),
    }
}

/// From `ntifs.h`.
#[repr(C)]
struct SectionBasicInformation {
    base: *mut c_void,
    attributes: u32,
    size: u64,
}

windows_link::link!("ntdll.dll" "system" fn NtQuerySection(
    section: HANDLE,
    class: u32,
    information: *mut c_void,
    len: usize,
    written: *mut usize,
) -> i32);

/// A section mapped into this process's memory. This type never returns a slice, because other
/// processes may write at any time.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
    writable: bool,
}

// SAFETY: the mapping isn't tied to a thread. Its bytes are only copied, never borrowed.
unsafe impl Send for Mapping {}
// SAFETY: as above. Concurrent copies of overlapping ranges may mix bytes, as they may with another
// process.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the whole section. The view is writable if the handle has that right.
    pub(crate) fn new(section: BorrowedHandle<'_>) -> io::Result<Self> {
        let len = usize::try_from(len(section)?).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let (view, writable) = match view(section, FILE_MAP_READ | FILE_MAP_WRITE) {
            Ok(view) => (view, true),
            Err(_) => (view(section, FILE_MAP_READ)?, false),
        };
        Ok(Self { start: view, len, writable })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Copies bytes into the view at the offset. Returns `false` and copies nothing if the view
    /// doesn't contain the whole range.
    #[must_use]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        let fits = self.contains(offset, bytes.len()) && self.writable;
        if fits {
            let to = self.start.as_ptr().wrapping_add(offset);
            // SAFETY: the range lies within the view, which is writable and lives as long as
            // `self`. `bytes` is ordinary memory, so the two don't overlap.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        }
        fits
    }

    /// Copies a range to `out`. Returns `false` and copies nothing if the view doesn't contain the
    /// whole range.
    #[must_use]
    pub(crate) fn copy(&self, offset: usize, out: &mut [u8]) -> bool {
        let fits = self.contains(offset, out.len());
        if fits {
            let from = self.start.as_ptr().wrapping_add(offset);
            // SAFETY: the range lies within the view. `out` is ordinary memory, so the two don't
            // overlap. If a writer changes the range at the same time, the copy may mix old and new
            // bytes, but any bytes are valid.
            unsafe { ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) };
        }
        fits
    }

    /// Returns whether the view contains the whole range.
    fn contains(&self, offset: usize, len: usize) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.len)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let view = MEMORY_MAPPED_VIEW_ADDRESS { Value: self.start.as_ptr().cast() };
        // SAFETY: this is the view created in `new`, and no references to it exist.
        let unmapped = unsafe { UnmapViewOfFile(view) };
        debug_assert!(unmapped != 0, "a whole view can be unmapped");
    }
}

fn view(section: BorrowedHandle<'_>, access: u32) -> io::Result<NonNull<u8>> {
    // SAFETY: the handle is open, and a new view at an address chosen by the kernel overlaps no
    // memory in use.
    let view = unsafe { MapViewOfFile(section.as_raw_handle(), access, 0, 0, 0) };
    NonNull::new(view.Value.cast()).ok_or_else(io::Error::last_os_error)
}

#[cfg(test)]
mod tests {
    use crate::{Handle, Rights, Section, identify};

    #[test]
    fn a_frozen_section_has_no_right_to_write() {
        let section = Section::frozen(b"frozen").unwrap();
        let rights = identify(section.as_handle()).unwrap().rights;
        assert_eq!(rights, Rights::READ | Rights::MAP | Rights::CHANGE);
    }
}
