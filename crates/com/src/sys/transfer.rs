//! How a HANDLE crosses under Wine, whose runtime knows no `system_handle`: routines of ours, which
//! the interpreter calls for each (`user_marshal`).
//!
//! The server does the work in both directions: it pulls what comes in out of its client, and pushes
//! what goes out into it. Who that is the RPC runtime says. Eight bytes cross: the number that the
//! handle has in the *client*. What can't be carried becomes zero, which the other side refuses.
#![expect(unsafe_code, reason = "callbacks of the interpreter, with pointers")]

use std::os::windows::io::{BorrowedHandle, FromRawHandle, IntoRawHandle, OwnedHandle};
use std::ptr;

use syshandle_os::{Process, is_pseudo, pull, push};
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Rpc::{USER_MARSHAL_CB, USER_MARSHAL_ROUTINE_QUADRUPLE};

use super::caller;
use crate::stub;

/// The routines, once for each kind of MIDL's: what is done doesn't depend on it.
pub(super) const QUADRUPLES: [USER_MARSHAL_ROUTINE_QUADRUPLE; stub::USER_MARSHAL_COUNT] =
    [USER_MARSHAL_ROUTINE_QUADRUPLE {
        pfnBufferSize: Some(size),
        pfnMarshall: Some(marshal),
        pfnUnmarshall: Some(unmarshal),
        pfnFree: Some(free),
    }; stub::USER_MARSHAL_COUNT];

/// The bytes of a handle on the wire, and what they are aligned to.
const LEN: usize = 8;

/// Where the message will stand behind a handle.
unsafe extern "system" fn size(
    _flags: *mut u32,
    start: u32,
    _handle: *mut core::ffi::c_void,
) -> u32 {
    start.next_multiple_of(LEN as u32) + LEN as u32
}

/// Writes a handle.
///
/// # Safety
/// Called by the interpreter: `buffer` has as much room as `size` said, `handle` points to one.
unsafe extern "system" fn marshal(
    flags: *mut u32,
    buffer: *mut u8,
    handle: *mut core::ffi::c_void,
) -> *mut u8 {
    // SAFETY: see above.
    unsafe {
        let handle = handle.cast::<HANDLE>().read_unaligned();
        let number = match is_client(flags) {
            _ if is_pseudo(handle.addr() as u64) => 0,
            true => handle.addr() as u64,
            // It stays open until `free`.
            false => push_to_caller(BorrowedHandle::borrow_raw(handle)),
        };
        let place = aligned(buffer);
        place.copy_from_nonoverlapping(number.to_le_bytes().as_ptr(), LEN);
        place.add(LEN)
    }
}

/// Reads a handle.
///
/// # Safety
/// Called by the interpreter: `buffer` is within the message that `flags` leads to, `handle` points to
/// room for one.
unsafe extern "system" fn unmarshal(
    flags: *mut u32,
    buffer: *mut u8,
    handle: *mut core::ffi::c_void,
) -> *mut u8 {
    // SAFETY: see above.
    unsafe {
        let place = aligned(buffer);
        let mut number = [0; LEN];
        // The sender says how long its message is.
        if place.addr() + LEN <= message_end(flags) {
            number.as_mut_ptr().copy_from_nonoverlapping(place, LEN);
        }
        let number = u64::from_le_bytes(number);
        let own: HANDLE = match is_client(flags) {
            _ if is_pseudo(number) => ptr::null_mut(),
            // The server has put it into this process, which owns it from now on.
            true => ptr::without_provenance_mut(number as usize),
            false => pull_from_caller(number),
        };
        handle.cast::<HANDLE>().write_unaligned(own);
        place.add(LEN)
    }
}

/// Lets go of a handle when a call is over, in the server: what came in and wasn't kept, and what
/// went out and is the client's now.
///
/// # Safety
/// Called by the interpreter, once for each handle that `unmarshal` made or a reply gave it.
unsafe extern "system" fn free(flags: *mut u32, handle: *mut core::ffi::c_void) {
    // SAFETY: see above.
    unsafe {
        let place = handle.cast::<HANDLE>();
        let raw = place.read_unaligned();
        if !is_client(flags) && !is_pseudo(raw.addr() as u64) {
            place.write_unaligned(ptr::null_mut());
            drop(OwnedHandle::from_raw_handle(raw));
        }
    }
}

/// Which side of the call this is.
///
/// # Safety
/// `flags` is what the interpreter passes: the first field of its `USER_MARSHAL_CB`.
unsafe fn is_client(flags: *mut u32) -> bool {
    // SAFETY: see above.
    unsafe { (*(*flags.cast::<USER_MARSHAL_CB>()).pStubMsg).IsClient != 0 }
}

/// The address behind the message that is read.
///
/// # Safety
/// As for [`is_client`].
unsafe fn message_end(flags: *mut u32) -> usize {
    // SAFETY: see above.
    unsafe { (*(*flags.cast::<USER_MARSHAL_CB>()).pStubMsg).BufferEnd.addr() }
}

/// The next place in a message that is aligned for a handle.
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
            tracing::warn!(%error, number, "a handle of a client's couldn't be taken");
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
            tracing::warn!(%error, "a handle couldn't be given to a client");
            0
        }
    }
}
