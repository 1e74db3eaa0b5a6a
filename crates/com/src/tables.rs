//! The tables that MIDL would generate for an interface, built from the interface's description.
//!
//! The RPC runtime reads them on both sides of a call. They use the transfer syntax that every
//! version of Windows supports (DCE, also called NDR 2.0), with the procedure headers of MIDL 8.

mod buffers;
mod procedures;
mod types;

use std::fmt;

use syshandle_types::Guid;
use syshandle_types::describe::Interface;

use crate::plan::MethodPlan;
pub use types::HandleForm;
use types::TypeFormatString;

/// An interface prepared for COM: its format strings and the plans of its methods.
#[derive(Debug)]
pub struct CompiledInterface {
    /// The identifier of the interface.
    pub iid: Guid,
    /// The name of the interface.
    pub name: &'static str,
    /// The format strings of the interface.
    pub format_strings: FormatStrings,
    /// The methods of the interface, without `IUnknown`'s.
    pub methods: Vec<MethodPlan>,
}

/// The format strings of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatStrings {
    /// The types: `MIDL_TYPE_FORMAT_STRING::Format`.
    pub types: Vec<u8>,
    /// The methods: `MIDL_PROC_FORMAT_STRING::Format`.
    pub procedures: Vec<u8>,
    /// The offset of each method in `procedures`. COM's indexes start with the three methods of
    /// `IUnknown`, so the pointer for COM must point three entries before this table.
    pub offsets: Vec<u16>,
}

impl CompiledInterface {
    /// Builds the tables of an interface.
    ///
    /// # Errors
    /// Returns an error if the interface is too large for the tables.
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

/// An interface that is too large for the tables, whose offsets have 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableError {
    /// The first method that doesn't fit.
    pub method: &'static str,
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the interface is too large for COM: method `{}` has no place in its tables",
            self.method
        )
    }
}

impl std::error::Error for TableError {}

/// The index of an interface's first own method: `IUnknown`'s three methods come before it.
pub const FIRST_METHOD: u16 = 3;

/// Values that MIDL writes into a `MIDL_STUB_DESC` in addition to the tables.
pub mod stub {
    /// `fCheckBounds`.
    pub const CHECK_BOUNDS: i32 = 1;
    /// `Version`: the oldest version of the NDR library that can read the tables.
    pub const VERSION: u32 = 0xa_0000;
    /// `MIDLVersion`: 8.1.628.
    pub const MIDL_VERSION: i32 = 0x801_0274;
    /// `mFlags`: the DCE syntax.
    pub const FLAGS: usize = 1;
    /// `ProxyFileInfo::TableVersion`.
    pub const TABLE_VERSION: u16 = 2;
    /// Number of routine quadruples that [`HandleForm::UserMarshal`](super::HandleForm) refers to.
    pub const USER_MARSHAL_COUNT: usize = 13;
}
