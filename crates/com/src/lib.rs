//! COM support. Builds the tables (*format strings*) that MIDL would generate for an interface, and
//! uses them to make and serve calls.
//!
//! COM needs no generated code: Linux and Windows use the same trait, value encoding and dispatch.
//! [`MethodPlan`] converts between the encoded arguments of a call and the *slots* (arguments) of a
//! COM method. [`FormatStrings`] tell the RPC runtime how to marshal these slots.
//!
//! Start with [`CompiledInterface`], which holds the format strings and the plans. [`Memory`] gives
//! access to the memory that the pointers in a call refer to. [`Hresult`] and [`ErrorInfo`]
//! describe the result of a call.
//!
//! Everything outside the `sys` module compiles on every platform and uses the memory layout of
//! 64-bit Windows. This crate deliberately doesn't support `VARIANT`, dispatch interfaces, type
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
