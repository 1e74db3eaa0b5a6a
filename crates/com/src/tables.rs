//! Builds the format strings that MIDL would generate for an interface.
//!
//! The RPC runtime reads the format strings in the client and in the server. They use the DCE
//! transfer syntax (NDR 2.0), which every version of Windows supports, and the procedure headers of
//! MIDL 8.

mod buffers;
mod procedures;
mod types;

use std::fmt;

use syshandle_types::Guid;
use syshandle_types::describe::Interface;

use crate::plan::MethodPlan;
pub use types::HandleForm;
use types::TypeFormatString;

/// An interface prepared for COM, with its format strings and the plans of its methods.
#[derive(Debug)]
pub struct CompiledInterface {
    /// The IID.
    pub iid: Guid,
    /// The name of the interface.
    pub name: &'static str,
    /// The format strings of the interface.
    pub format_strings: FormatStrings,
    /// The interface's own methods, without those of `IUnknown`.
    pub methods: Vec<MethodPlan>,
}

/// The format strings of an interface: the tables by which the RPC runtime marshals calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatStrings {
    /// The type format string (`MIDL_TYPE_FORMAT_STRING::Format`).
    pub types: Vec<u8>,
    /// The procedure format string (`MIDL_PROC_FORMAT_STRING::Format`).
    pub procedures: Vec<u8>,
    /// The offset of each method in `procedures`. COM numbers methods from the first method of
    /// `IUnknown`, so the pointer that COM gets must point three entries before this table.
    pub offsets: Vec<u16>,
}

impl CompiledInterface {
    /// Builds the format strings of an interface.
    ///
    /// # Errors
    /// Returns an error if the interface is too large for the format strings.
    pub fn new(interface: &'static Interface, form: HandleForm) -> Result<Self, TableError> {
        let plans = interface.methods.iter().zip(0..);
        let plans = plans.map(|(method, number)| MethodPlan::new(number, method));
        let methods: Vec<_> = plans.collect();
        let format_strings = FormatStrings::of(&methods, form)?;
        Ok(Self { iid: interface.iid, name: interface.name, format_strings, methods })
    }
}

impl FormatStrings {
    fn of(methods: &[MethodPlan], form: HandleForm) -> Result<Self, TableError> {
        let mut types = TypeFormatString::new(form);
        let mut procedures = Vec::new();
        let mut offsets = Vec::new();
        for (plan, number) in methods.iter().zip(FIRST_METHOD..) {
            let too_large = || TableError { method: plan.name() };
            offsets.push(u16::try_from(procedures.len()).map_err(|_| too_large())?);
            procedures::write(&mut procedures, plan, number, &mut types).ok_or_else(too_large)?;
        }
        procedures.push(0);
        Ok(Self { types: types.finish(), procedures, offsets })
    }
}

/// The error for an interface that is too large for the 16-bit offsets of the format strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableError {
    /// The first method that doesn't fit.
    pub method: &'static str,
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the interface is too large for COM: method `{}` doesn't fit into its tables",
            self.method
        )
    }
}

impl std::error::Error for TableError {}

/// The number of an interface's first own method, after the three methods of `IUnknown`.
pub const FIRST_METHOD: u16 = 3;

/// Values of a `MIDL_STUB_DESC` and other structures that MIDL generates in addition to the format
/// strings.
pub mod stub {
    /// `fCheckBounds`.
    pub const CHECK_BOUNDS: i32 = 1;
    /// `Version`: the oldest version of the NDR library that can read the format strings.
    pub const VERSION: u32 = 0xa_0000;
    /// `MIDLVersion`: MIDL 8.1.628.
    pub const MIDL_VERSION: i32 = 0x801_0274;
    /// `mFlags`: the DCE transfer syntax.
    pub const FLAGS: usize = 1;
    /// `ProxyFileInfo::TableVersion`.
    pub const TABLE_VERSION: u16 = 2;
    /// The number of routine quadruples (size, marshal, unmarshal, free) in the table for
    /// [`HandleForm::UserMarshal`](super::HandleForm).
    pub const USER_MARSHAL_COUNT: usize = 13;
}
