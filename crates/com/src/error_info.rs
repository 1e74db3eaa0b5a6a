//! What goes with a failed HRESULT: its text.

use syshandle_wire::Fault;

/// What COM's `IErrorInfo` says of a call that failed. It reaches programs that aren't ours; two of
/// ours tell each other all of a fault besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorInfo {
    /// What a person reads: the text of a fault, or the name of an error's variant.
    pub description: String,
}

impl ErrorInfo {
    /// What is said of a fault.
    pub fn of_fault(fault: &Fault) -> Self {
        Self { description: fault.to_string() }
    }
}
