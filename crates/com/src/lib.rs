//! COM's side of syshandle: an interface's description becomes the tables that MIDL would make, and
//! its calls go through them.
//!
//! The one idea: nothing is generated for COM. The same trait, the same encoding of its values and
//! the same dispatch serve on both systems; [`MethodPlan`] turns the encoded arguments of a call into
//! the slots of a COM method and back, and [`Tables`] tell the RPC runtime how those travel.
//!
//! Reading order: [`Compiled`] has the tables and the plans; [`Memory`] is what the pointers of a call
//! point into; [`Hresult`] and [`ErrorInfo`] say how it went.
//!
//! All of this is plain code that runs anywhere, for 64-bit Windows. What it deliberately doesn't do:
//! `VARIANT` and dispatch interfaces, type libraries, other machines.

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

use syshandle_wire::Guid;

/// A GUID as Windows has it in memory: its first three numbers little endian.
pub(crate) fn guid_in_memory(guid: Guid) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = guid.to_bytes();
    let mut bytes = [d, c, b, a, f, e, h, g, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes[8..].copy_from_slice(&rest);
    bytes
}
