//! Queries for handles of any type, and duplication of handles between processes.
#![expect(unsafe_code, reason = "Windows API calls")]

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{
    DUPLICATE_SAME_ACCESS, DuplicateHandle, HANDLE, RtlNtStatusToDosError, UNICODE_STRING,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_STANDARD_INFO, FILE_TYPE_CHAR, FILE_TYPE_DISK, FILE_TYPE_PIPE, FileStandardInfo,
    GetFileInformationByHandleEx, GetFileType,
};
use windows_sys::Win32::System::Pipes::GetNamedPipeInfo;
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::{check, check_status, own};

/// The results of `GetFileType`.
pub(crate) enum FileType {
    Disk,
    Character,
    Pipe,
    Unknown,
}

/// Returns the numeric value of the handle.
pub(crate) fn number(handle: BorrowedHandle<'_>) -> u64 {
    handle.as_raw_handle().addr() as u64
}

/// Returns the kernel's name of an object's type, such as `Event`.
pub(crate) fn type_name(handle: BorrowedHandle<'_>) -> io::Result<String> {
    // Space for the structure and the longest possible name after it, aligned for both.
    let mut room = [0_u64; 128];
    query(handle, OBJECT_TYPE_INFORMATION, &mut room)?;
    // SAFETY: the call has filled `room`, which starts with the structure and is aligned for it.
    // The text of the name lies within `room`.
    let name = unsafe {
        let name = &*room.as_ptr().cast::<UNICODE_STRING>();
        match name.Buffer.is_null() {
            true => &[],
            false => std::slice::from_raw_parts(name.Buffer, usize::from(name.Length / 2)),
        }
    };
    Ok(String::from_utf16_lossy(name))
}

/// Returns the access mask of the handle.
pub(crate) fn granted_access(handle: BorrowedHandle<'_>) -> io::Result<u32> {
    // `OBJECT_BASIC_INFORMATION` has 56 bytes. Its second 32-bit word is the access mask.
    let mut room = [0_u64; 7];
    query(handle, OBJECT_BASIC_INFORMATION, &mut room)?;
    Ok((room[0] >> 32) as u32)
}

fn query(handle: BorrowedHandle<'_>, class: u32, room: &mut [u64]) -> io::Result<()> {
    let len = size_of_val(room) as u32;
    // SAFETY: the handle is open, and `room` has that size. The call doesn't return the size,
    // because that pointer is null.
    check_status(unsafe {
        let room = room.as_mut_ptr().cast();
        NtQueryObject(handle.as_raw_handle(), class, room, len, ptr::null_mut())
    })
}

pub(crate) fn file_type(handle: BorrowedHandle<'_>) -> FileType {
    // SAFETY: the handle is open.
    match unsafe { GetFileType(handle.as_raw_handle()) } {
        FILE_TYPE_DISK => FileType::Disk,
        FILE_TYPE_CHAR => FileType::Character,
        FILE_TYPE_PIPE => FileType::Pipe,
        _ => FileType::Unknown,
    }
}

/// Distinguishes pipes from sockets, for both of which [`file_type`] returns pipe.
pub(crate) fn is_pipe(handle: BorrowedHandle<'_>) -> bool {
    let none = ptr::null_mut();
    // SAFETY: the handle is open, and the call writes nothing, because all pointers are null.
    unsafe { GetNamedPipeInfo(handle.as_raw_handle(), none, none, none, none) != 0 }
}

pub(crate) fn is_directory(handle: BorrowedHandle<'_>) -> io::Result<bool> {
    let mut information = FILE_STANDARD_INFO::default();
    let len = size_of::<FILE_STANDARD_INFO>() as u32;
    // SAFETY: the handle is open, and the structure has that size.
    check(unsafe {
        let room = (&raw mut information).cast();
        GetFileInformationByHandleEx(handle.as_raw_handle(), FileStandardInfo, room, len)
    })?;
    Ok(information.Directory)
}

/// Duplicates a handle of another process into this one.
pub(crate) fn pull(from: BorrowedHandle<'_>, number: u64) -> io::Result<OwnedHandle> {
    let mut handle = ptr::null_mut();
    let theirs: HANDLE = ptr::without_provenance_mut(number as usize);
    // SAFETY: both processes are open. If the number is not a handle of the other process, the call
    // fails. On success, the caller owns the new handle.
    unsafe {
        check(DuplicateHandle(
            from.as_raw_handle(),
            theirs,
            GetCurrentProcess(),
            &mut handle,
            0,
            0,
            DUPLICATE_SAME_ACCESS,
        ))?;
        own(handle)
    }
}

/// Duplicates a handle of this process into another one.
pub(crate) fn push(to: BorrowedHandle<'_>, handle: BorrowedHandle<'_>) -> io::Result<u64> {
    let mut theirs: HANDLE = ptr::null_mut();
    // SAFETY: both processes and the handle are open. The other process owns the new handle.
    check(unsafe {
        DuplicateHandle(
            GetCurrentProcess(),
            handle.as_raw_handle(),
            to.as_raw_handle(),
            &mut theirs,
            0,
            0,
            DUPLICATE_SAME_ACCESS,
        )
    })?;
    Ok(theirs.addr() as u64)
}

/// Converts an `NTSTATUS` to an error of the Windows API.
pub(super) fn error_of_status(status: i32) -> io::Error {
    // SAFETY: the call only converts an integer.
    io::Error::from_raw_os_error(unsafe { RtlNtStatusToDosError(status) } as i32)
}

/// From `ntifs.h`.
const OBJECT_BASIC_INFORMATION: u32 = 0;
const OBJECT_TYPE_INFORMATION: u32 = 2;

windows_link::link!("ntdll.dll" "system" fn NtQueryObject(
    handle: HANDLE,
    class: u32,
    information: *mut c_void,
    len: u32,
    written: *mut u32,
) -> i32);
