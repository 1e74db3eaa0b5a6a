//! Who calls, from the RPC runtime.
#![expect(unsafe_code, reason = "a call of the RPC runtime")]

use std::ptr;

use windows_sys::Win32::System::Rpc::{I_RpcBindingInqLocalClientPID, RPC_S_OK};

/// The process whose call this thread serves; `None` outside of a call.
///
/// The RPC runtime has it from the kernel. What a message says of its sender is never asked: a
/// server could be made to take handles out of, and put them into, a process of somebody else.
pub(super) fn process_id() -> Option<u32> {
    let mut id = 0;
    // SAFETY: no binding means that of the call that this thread serves; `id` is written.
    let told = unsafe { I_RpcBindingInqLocalClientPID(ptr::null_mut(), &mut id) };
    (told == RPC_S_OK && id != 0).then_some(id)
}
