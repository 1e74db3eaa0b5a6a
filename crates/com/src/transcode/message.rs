//! Calls and replies, each consisting of encoded values and a list of handles.

use syshandle_os::Kind;
use syshandle_types::Guid;
use syshandle_wire::{Fault, Status};

use super::problem::TranscodeError;
use crate::hresult::{ErrorInfo, Hresult};

/// A handle or interface pointer to pass in a call or reply. It still belongs to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawLentHandle {
    /// The value of the handle or interface pointer.
    pub value: u64,
    /// The kind of the handle, if known. Required only if the interface declares several kinds.
    pub kind: Option<Kind>,
}

/// The type of a received handle or pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleType {
    /// A handle of this kind. A directory is received as a file.
    Handle(Kind),
    /// A pointer to the interface with this IID.
    Object(Guid),
}

/// A received handle or interface pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawReceivedHandle {
    /// The value of the handle or interface pointer.
    pub value: u64,
    /// The type under which the sender passed the value.
    pub handle_type: HandleType,
}

/// A call in the form that the server dispatches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The encoded arguments.
    pub arguments: Vec<u8>,
    /// The handles in the arguments, in order. The RPC runtime owns them and closes them after the
    /// call.
    pub handles: Vec<RawReceivedHandle>,
}

/// A reply in the form that the server's dispatch returns.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The kind of body: result, error or fault.
    pub status: Status,
    /// The encoded result, error or [`Fault`].
    pub body: &'a [u8],
    /// The handles in the body, in order.
    pub handles: &'a [RawLentHandle],
}

/// The outcome of a served call, as returned to COM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodReturn {
    /// The return value of the COM method.
    pub hresult: Hresult,
    /// Whether the slots contain the reply's handles. If so, the RPC runtime closes these handles.
    pub gives_handles: bool,
    /// The COM error information of a failed call.
    pub info: Option<ErrorInfo>,
}

/// The contents of a call's slots after the call has returned to the client.
#[derive(Debug)]
pub struct CollectedReply {
    /// The reply, in the same form as on Linux.
    pub reply: Result<ReceivedReply, TranscodeError>,
    /// Received handles that don't belong to the reply. The caller must close them.
    pub strays: Vec<RawReceivedHandle>,
}

/// A received reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedReply {
    /// The kind of body: result, error or fault.
    pub status: Status,
    /// The encoded result, error or [`Fault`].
    pub body: Vec<u8>,
    /// The handles in the body, in order. The caller owns them.
    pub handles: Vec<RawReceivedHandle>,
}

impl MethodReturn {
    /// Creates the return value of a call that failed or was refused.
    pub fn of_fault(fault: &Fault) -> Self {
        Self {
            hresult: Hresult::of_fault(fault),
            gives_handles: false,
            info: Some(ErrorInfo::of_fault(fault)),
        }
    }
}

/// Returns whether a value may be a handle or interface pointer: neither NULL nor negative.
/// `INVALID_HANDLE_VALUE` and pseudo handles are negative.
pub(super) fn is_handle(value: u64) -> bool {
    (value as i64) > 0
}
