//! Identifies the client of the current call.
#![expect(unsafe_code, reason = "a call of the RPC runtime")]

use std::ptr;

use syshandle_types::Guid;
use windows_sys::Win32::System::Rpc::{I_RpcBindingInqLocalClientPID, RPC_S_OK};

use super::apartment::logical_thread;

/// The client of a call, as reported by the RPC runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The client's process ID, or `None` if the call comes from this process.
    pub process_id: Option<u32>,
    /// The identifier of the call chain that the call is part of.
    pub logical_thread: Guid,
}

impl Caller {
    /// Returns the client of the call that the calling thread serves.
    pub fn current() -> Self {
        Self { process_id: process_id(), logical_thread: logical_thread() }
    }
}

/// Returns the process ID of the client whose call the calling thread serves. Returns `None`
/// outside of a call.
///
/// The RPC runtime gets this ID from the kernel. An ID in the message could not be trusted: with a
/// forged ID, a client could make the server duplicate handles from or into another user's process.
pub(super) fn process_id() -> Option<u32> {
    let mut id = 0;
    // SAFETY: a null binding selects the call that this thread serves. The function only writes to
    // `id`.
    let told = unsafe { I_RpcBindingInqLocalClientPID(ptr::null_mut(), &mut id) };
    (told == RPC_S_OK && id != 0).then_some(id)
}
