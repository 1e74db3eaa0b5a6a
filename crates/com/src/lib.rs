//! COM support: builds the tables that MIDL would generate for an interface from its description,
//! and passes the interface's calls through them.
//!
//! No code is generated for COM. The same trait, value encoding and dispatch are used on Linux and
//! Windows. [`MethodPlan`] converts between the encoded arguments of a call and the slots of a COM
//! method, and [`FormatStrings`] tell the RPC runtime how to marshal those slots.
//!
//! Reading order: [`CompiledInterface`] holds the tables and the plans; [`Memory`] is the memory
//! that a call's pointers refer to; [`Hresult`] and [`ErrorInfo`] are the result of a call.
//!
//! Everything outside the `sys` module runs on every platform and uses the layouts of 64-bit
//! Windows. This crate deliberately doesn't support `VARIANT` and dispatch interfaces, type
//! libraries, and calls between machines.

mod format_characters;
mod hresult;
mod kinds;
mod memory;
mod plan;
mod shape;
#[cfg(windows)]
mod sys;
mod tables;
mod transcode;

pub use hresult::{ErrorInfo, Hresult};
pub use memory::{BadAddress, Memory, OutOfMemory};
pub use plan::{Float, MethodPlan};
#[cfg(windows)]
pub use sys::{
    CallResult, Caller, ClassObject, ComError, IncomingCall, InterfacePointer, LentHandle,
    ProxyDll, ReceivedHandle, RegisteredInterface, ReplySender, Serve, ServedObject, ServerProcess,
    cancel_call, enter_apartment, logical_thread, take_cancellations,
};
pub use tables::{CompiledInterface, FIRST_METHOD, FormatStrings, HandleForm, TableError, stub};
pub use transcode::{
    Call, CollectedReply, HandleType, MethodReturn, Problem, RawLentHandle, RawReceivedHandle,
    ReceivedReply, Reply, TranscodeError,
};
