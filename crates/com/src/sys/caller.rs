//! The process that made the current call, as the RPC runtime reports it.
#![expect(unsafe_code, reason = "a call of the RPC runtime")]

use std::ptr;

use windows_sys::Win32::System::Rpc::{I_RpcBindingInqLocalClientPID, RPC_S_OK};

/// The process whose call this thread serves; `None` outside of a call.
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
