//! The client that made the current call, as the RPC runtime reports it.
#![expect(unsafe_code, reason = "a call of the RPC runtime")]

use std::ptr;

use syshandle_types::Guid;
use windows_sys::Win32::System::Rpc::{I_RpcBindingInqLocalClientPID, RPC_S_OK};

use super::apartment::logical_thread;

/// The client that made a call, as the RPC runtime reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The client's process; `None` for a call from within this process.
    pub process_id: Option<u32>,
    /// The call chain that this call is part of.
    pub logical_thread: Guid,
}

impl Caller {
    /// Returns the client whose call this thread serves.
    pub fn current() -> Self {
        Self { process_id: process_id(), logical_thread: logical_thread() }
    }
}

/// Returns the process whose call this thread serves; `None` outside of a call.
///
/// The RPC runtime gets this identifier from the kernel. An identifier inside the message would not
/// be trustworthy: a client could make the server duplicate handles out of or into the process of
/// another user.
pub(super) fn process_id() -> Option<u32> {
    let mut id = 0;
    // SAFETY: a null binding means the call that this thread serves; `id` is written.
    let told = unsafe { I_RpcBindingInqLocalClientPID(ptr::null_mut(), &mut id) };
    (told == RPC_S_OK && id != 0).then_some(id)
}
