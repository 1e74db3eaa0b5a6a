//! The error text that accompanies a failed HRESULT.

use syshandle_wire::Fault;

/// The contents of COM's `IErrorInfo` for a failed call. Programs that don't use this crate can
/// read it. Two programs that use it also exchange the complete fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorInfo {
    /// A text for people: the message of a fault, or the name of an error enum's variant.
    pub description: String,
}

impl ErrorInfo {
    /// The error information of a fault.
    pub fn of_fault(fault: &Fault) -> Self {
        Self { description: fault.to_string() }
    }
}
