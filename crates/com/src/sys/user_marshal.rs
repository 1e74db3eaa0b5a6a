//! Transfers handles under Wine, whose RPC runtime doesn't support `system_handle`. The runtime's
//! interpreter, which executes the format strings, calls the routines of this module for each
//! handle (MIDL attribute `user_marshal`).
//!
//! The server does the work in both directions. It duplicates the handles in the arguments from the
//! client's process, and the handles in the reply into the client's process. The RPC runtime tells
//! the server which process is the client. On the wire, a handle is the eight-byte handle value in
//! the *client's* process. Zero stands for a handle that couldn't be transferred; the receiver
//! rejects it.
#![expect(unsafe_code, reason = "callbacks of the interpreter, with pointers")]

use std::os::windows::io::{BorrowedHandle, FromRawHandle, IntoRawHandle, OwnedHandle};
use std::ptr;

use syshandle_os::{Process, is_pseudo, pull, push};
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Rpc::{USER_MARSHAL_CB, USER_MARSHAL_ROUTINE_QUADRUPLE};

use super::caller;
use crate::tables::stub;

/// The marshalling routines, repeated for each of MIDL's handle kinds because they don't depend on
/// the kind.
pub(super) const QUADRUPLES: [USER_MARSHAL_ROUTINE_QUADRUPLE; stub::USER_MARSHAL_COUNT] =
    [USER_MARSHAL_ROUTINE_QUADRUPLE {
        pfnBufferSize: Some(size),
        pfnMarshall: Some(marshal),
        pfnUnmarshall: Some(unmarshal),
        pfnFree: Some(free),
    }; stub::USER_MARSHAL_COUNT];

/// The size and alignment of a handle on the wire, in bytes.
const LEN: usize = 8;

/// Returns the length of a message of length `start` after one more handle is appended.
unsafe extern "system" fn size(
    _flags: *mut u32,
    start: u32,
    _handle: *mut core::ffi::c_void,
) -> u32 {
    start.next_multiple_of(LEN as u32) + LEN as u32
}

/// Writes a handle into a message.
///
/// # Safety
/// The interpreter must call this function. `buffer` must have the space that `size` calculated,
/// and `handle` must point to a handle.
unsafe extern "system" fn marshal(
    flags: *mut u32,
    buffer: *mut u8,
    handle: *mut core::ffi::c_void,
) -> *mut u8 {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        let handle = handle.cast::<HANDLE>().read_unaligned();
        let number = match is_client(flags) {
            _ if is_pseudo(handle.addr() as u64) => 0,
            true => handle.addr() as u64,
            // The handle stays open until the interpreter calls `free`.
            false => push_to_caller(BorrowedHandle::borrow_raw(handle)),
        };
        let target = aligned(buffer);
        target.copy_from_nonoverlapping(number.to_le_bytes().as_ptr(), LEN);
        target.add(LEN)
    }
}

/// Reads a handle from a message.
///
/// # Safety
/// The interpreter must call this function. `buffer` must point into the message that `flags`
/// refers to, and `handle` must point to space for a handle.
unsafe extern "system" fn unmarshal(
    flags: *mut u32,
    buffer: *mut u8,
    handle: *mut core::ffi::c_void,
) -> *mut u8 {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        let target = aligned(buffer);
        let mut number = [0; LEN];
        // The sender chooses the length of its message. The message may therefore be too short.
        if target.addr() + LEN <= message_end(flags) {
            number.as_mut_ptr().copy_from_nonoverlapping(target, LEN);
        }
        let number = u64::from_le_bytes(number);
        let own: HANDLE = match is_client(flags) {
            _ if is_pseudo(number) => ptr::null_mut(),
            // The server has duplicated the handle into this process. This process owns the
            // duplicate.
            true => ptr::without_provenance_mut(number as usize),
            false => pull_from_caller(number),
        };
        handle.cast::<HANDLE>().write_unaligned(own);
        target.add(LEN)
    }
}

/// Closes a handle in the server after a call: a received handle that the method hasn't kept, or a
/// sent handle after it was duplicated into the client.
///
/// # Safety
/// The interpreter must call this function once for each handle that `unmarshal` returned or that a
/// reply contains.
unsafe extern "system" fn free(flags: *mut u32, handle: *mut core::ffi::c_void) {
    // SAFETY: the caller upholds this function's contract.
    unsafe {
        let target = handle.cast::<HANDLE>();
        let raw = target.read_unaligned();
        if !is_client(flags) && !is_pseudo(raw.addr() as u64) {
            target.write_unaligned(ptr::null_mut());
            drop(OwnedHandle::from_raw_handle(raw));
        }
    }
}

/// Returns whether this process is the client of the call.
///
/// # Safety
/// `flags` must be the pointer that the interpreter passes, which points to the first field of a
/// `USER_MARSHAL_CB`.
unsafe fn is_client(flags: *mut u32) -> bool {
    // SAFETY: the caller upholds this function's contract.
    unsafe { (*(*flags.cast::<USER_MARSHAL_CB>()).pStubMsg).IsClient != 0 }
}

/// Returns the end address of the message that is being read.
///
/// # Safety
/// As for [`is_client`].
unsafe fn message_end(flags: *mut u32) -> usize {
    // SAFETY: the caller upholds this function's contract.
    unsafe { (*(*flags.cast::<USER_MARSHAL_CB>()).pStubMsg).BufferEnd.addr() }
}

/// Returns the first address from `buffer` on that is aligned for a handle.
fn aligned(buffer: *mut u8) -> *mut u8 {
    buffer.wrapping_add(buffer.addr().next_multiple_of(LEN) - buffer.addr())
}

fn pull_from_caller(number: u64) -> HANDLE {
    let pulled = caller::process_id()
        .ok_or(std::io::ErrorKind::NotConnected.into())
        .and_then(Process::open_to_duplicate)
        .and_then(|client| pull(&client, number));
    match pulled {
        Ok(handle) => handle.into_raw_handle(),
        Err(error) => {
            tracing::warn!(target: "syshandle", %error, number, "a handle couldn't be duplicated from the client's process");
            ptr::null_mut()
        }
    }
}

fn push_to_caller(handle: BorrowedHandle<'_>) -> u64 {
    let pushed = caller::process_id()
        .ok_or(std::io::ErrorKind::NotConnected.into())
        .and_then(Process::open_to_duplicate)
        .and_then(|client| push(&client, handle));
    match pushed {
        Ok(number) => number,
        Err(error) => {
            tracing::warn!(target: "syshandle", %error, "a handle couldn't be duplicated into the client's process");
            0
        }
    }
}
