//! COM support: builds the tables that MIDL would generate for an interface from its description,
//! and passes the interface's calls through them.
//!
//! No code is generated for COM. The same trait, value encoding and dispatch are used on Linux and
//! Windows. [`MethodPlan`] converts between the encoded arguments of a call and the slots of a COM
//! method, and [`Tables`] tell the RPC runtime how to marshal those slots.
//!
//! Reading order: [`Compiled`] holds the tables and the plans; [`Memory`] is the memory that a
//! call's pointers refer to; [`Hresult`] and [`ErrorInfo`] are the result of a call.
//!
//! Everything outside the `sys` module runs on every platform and uses the layouts of 64-bit
//! Windows. This crate deliberately doesn't support `VARIANT` and dispatch interfaces, type
//! libraries, and calls between machines.

mod codes;
mod error_info;
mod hresult;
mod kinds;
mod memory;
mod plan;
mod shape;
#[cfg(windows)]
mod sys;
mod tables;
mod transcode;

pub use error_info::ErrorInfo;
pub use hresult::Hresult;
pub use memory::{BadAddress, Memory, OutOfMemory};
pub use plan::{Float, MethodPlan};
#[cfg(windows)]
pub use sys::{
    Bound, Caller, Came, ClassObject, ComError, Given, Outcome, Passing, ProxyDll, Remote,
    Replying, Serve, Served, ServerProcess, cancel_call, enter_apartment, logical_thread,
    take_cancellations,
};
pub use tables::{Compiled, FIRST_METHOD, HandleForm, TableError, Tables, stub};
pub use transcode::{
    Answer, Call, Collected, Lent, Passed, Problem, Received, Reply, Sort, TranscodeError,
};

use syshandle_types::Guid;

/// A GUID in Windows' memory layout: the first three numbers are little endian.
pub(crate) fn guid_in_memory(guid: Guid) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = guid.to_bytes();
    let mut bytes = [d, c, b, a, f, e, h, g, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes[8..].copy_from_slice(&rest);
    bytes
}
