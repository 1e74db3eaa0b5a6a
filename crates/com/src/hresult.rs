//! HRESULTs and COM error information, and their conversion to and from [`Fault`].

use std::fmt;

use syshandle_types::FieldPath;
use syshandle_wire::Fault;

/// An HRESULT, the result of a COM call. A negative value means failure.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hresult(pub i32);

impl Hresult {
    /// Success.
    pub const OK: Self = Self(0);

    /// Returns the HRESULT for a variant of an error enum, given the variant's value.
    ///
    /// A value that is already a failure code (such as `0x8007_0005`) is returned unchanged. Any
    /// other value is mapped into the range that COM reserves for interface-specific errors.
    /// Returns `None` if the value is too large for that range.
    pub(crate) fn of_value(value: i32) -> Option<Self> {
        match value {
            ..0 => Some(Self(value)),
            0..=INTERFACE_VALUES_MAX => Some(Self(INTERFACE_FIRST + value)),
            _ => None,
        }
    }

    /// Returns whether the call failed.
    pub const fn is_failure(self) -> bool {
        self.0 < 0
    }

    /// Converts a fault to an HRESULT: the code that COM itself returns in the same situation, or
    /// `E_FAIL` if there is none.
    pub fn of_fault(fault: &Fault) -> Self {
        Self(match fault {
            Fault::NotAllowed { .. } => E_ACCESSDENIED,
            Fault::NoSuchClass(_) => REGDB_E_CLASSNOTREG,
            Fault::NoSuchInterface(_) => E_NOINTERFACE,
            Fault::NoSuchMethod(_) => RPC_S_PROCNUM_OUT_OF_RANGE,
            Fault::WrongHandle { .. } => E_HANDLE,
            Fault::Incompatible { .. } | Fault::Malformed { .. } => RPC_X_BAD_STUB_DATA,
            Fault::Unproven { .. } => ERROR_INVALID_ACCESS,
            Fault::HandlesLost => ERROR_TOO_MANY_OPEN_FILES,
            Fault::Expired => RPC_E_TIMEOUT,
            Fault::Busy { .. } => RPC_S_SERVER_TOO_BUSY,
            Fault::Draining => CO_E_SERVER_STOPPING,
            Fault::Panicked { .. } => RPC_E_SERVERFAULT,
            Fault::Unsendable { .. } => RPC_E_SERVER_CANTMARSHAL_DATA,
            Fault::TooLarge { .. } => ERROR_MESSAGE_EXCEEDS_MAX_SIZE,
            Fault::NoObject { .. } => CO_E_ERRORINAPP,
            _ => E_FAIL,
        })
    }

    /// Converts a failure HRESULT to a fault. `method` is the number of the called method. `said`
    /// is the description from COM's error information, if any.
    pub fn to_fault(self, method: u32, said: Option<&str>) -> Fault {
        let text = || said.map_or_else(|| self.to_string(), str::to_owned);
        match self.0 {
            RPC_S_PROCNUM_OUT_OF_RANGE => Fault::NoSuchMethod(method),
            E_HANDLE | RPC_X_BAD_STUB_DATA => {
                Fault::Malformed { parameter: None, path: FieldPath::default(), text: text() }
            }
            ERROR_INVALID_ACCESS => {
                Fault::Unproven { parameter: None, path: FieldPath::default(), text: text() }
            }
            ERROR_TOO_MANY_OPEN_FILES => Fault::HandlesLost,
            RPC_E_TIMEOUT => Fault::Expired,
            RPC_S_SERVER_TOO_BUSY => Fault::Busy { limit: text() },
            CO_E_SERVER_STOPPING => Fault::Draining,
            RPC_E_SERVERFAULT => Fault::Panicked { text: text() },
            RPC_E_SERVER_CANTMARSHAL_DATA => Fault::Unsendable { text: text() },
            ERROR_MESSAGE_EXCEEDS_MAX_SIZE => Fault::TooLarge { text: text() },
            CO_E_ERRORINAPP => Fault::NoObject { text: text() },
            _ => Fault::Failed { text: text() },
        }
    }
}

/// The contents of COM's `IErrorInfo` for a failed call, which any COM program can read. Between
/// two programs that use this crate, opaque methods also transfer the complete fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorInfo {
    /// A human-readable description: the message of a fault, or the name of an error enum's
    /// variant.
    pub description: String,
}

impl ErrorInfo {
    /// Returns the error information of a fault.
    pub fn of_fault(fault: &Fault) -> Self {
        Self { description: fault.to_string() }
    }
}

/// Formats the code as in Microsoft's documentation: `0x80070005`.
impl fmt::Display for Hresult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HRESULT {:#010x}", self.0)
    }
}

impl fmt::Debug for Hresult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Converts a failure code that is written as an unsigned number, as in Microsoft's documentation.
const fn failure(number: u32) -> i32 {
    number as i32
}

const E_NOINTERFACE: i32 = failure(0x8000_4002);
const E_FAIL: i32 = failure(0x8000_4005);
const RPC_E_SERVERFAULT: i32 = failure(0x8001_0105);
const RPC_E_SERVER_CANTMARSHAL_DATA: i32 = failure(0x8001_010d);
const RPC_E_TIMEOUT: i32 = failure(0x8001_011f);
const REGDB_E_CLASSNOTREG: i32 = failure(0x8004_0154);
const CO_E_ERRORINAPP: i32 = failure(0x8004_01f7);
const ERROR_TOO_MANY_OPEN_FILES: i32 = failure(0x8007_0004);
const E_ACCESSDENIED: i32 = failure(0x8007_0005);
const E_HANDLE: i32 = failure(0x8007_0006);
const ERROR_INVALID_ACCESS: i32 = failure(0x8007_000c);
const RPC_S_SERVER_TOO_BUSY: i32 = failure(0x8007_06bb);
const RPC_S_PROCNUM_OUT_OF_RANGE: i32 = failure(0x8007_06d1);
const RPC_X_BAD_STUB_DATA: i32 = failure(0x8007_06f7);
const ERROR_MESSAGE_EXCEEDS_MAX_SIZE: i32 = failure(0x8007_10f0);
const CO_E_SERVER_STOPPING: i32 = failure(0x8008_0008);

/// The first HRESULT that COM leaves to interfaces: code 0x200 of `FACILITY_ITF`.
const INTERFACE_FIRST: i32 = failure(0x8004_0200);
/// The largest value that can be added to `INTERFACE_FIRST` without leaving `FACILITY_ITF`.
const INTERFACE_VALUES_MAX: i32 = 0xfdff;

#[cfg(test)]
mod tests {
    use super::*;

    fn faults() -> Vec<Fault> {
        let text = || "so".to_owned();
        vec![
            Fault::NoSuchMethod(3),
            Fault::HandlesLost,
            Fault::Expired,
            Fault::Busy { limit: text() },
            Fault::Draining,
            Fault::Panicked { text: text() },
            Fault::Failed { text: text() },
            Fault::Unsendable { text: text() },
            Fault::TooLarge { text: text() },
            Fault::NoObject { text: text() },
            Fault::Malformed { parameter: Some(1), path: FieldPath::default(), text: text() },
            Fault::Unproven { parameter: None, path: FieldPath::default(), text: text() },
        ]
    }

    #[test]
    fn a_fault_is_restored_from_its_hresult() {
        for fault in faults() {
            let hresult = Hresult::of_fault(&fault);
            assert!(hresult.is_failure(), "{fault:?}");
            let back = hresult.to_fault(3, None);
            assert_eq!(std::mem::discriminant(&back), std::mem::discriminant(&fault), "{fault:?}");
            assert_eq!(back.may_have_run(), fault.may_have_run());
        }
    }

    #[test]
    fn every_fault_has_an_hresult_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        assert!(faults().iter().all(|fault| seen.insert(Hresult::of_fault(fault))));
    }

    #[test]
    fn a_variant_keeps_a_failure_and_gets_one_otherwise() {
        assert_eq!(Hresult::of_value(E_ACCESSDENIED), Some(Hresult(E_ACCESSDENIED)));
        assert_eq!(Hresult::of_value(0).unwrap().to_string(), "HRESULT 0x80040200");
        assert_eq!(Hresult::of_value(0xfdff).unwrap().to_string(), "HRESULT 0x8004ffff");
        assert_eq!(Hresult::of_value(0xfe00), None);
    }
}
