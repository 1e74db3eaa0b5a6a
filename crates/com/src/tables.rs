//! The tables that MIDL would make of an interface, made from its description.
//!
//! The RPC runtime reads them on both sides of a call. They are those of the transfer syntax that
//! every version of Windows knows (DCE, also called NDR 2.0), with the procedure headers of MIDL 8.

mod buffers;
mod procedures;
mod types;

use std::fmt;

use syshandle_wire::Guid;
use syshandle_wire::describe::Interface;

use crate::plan::MethodPlan;
use types::TypeStrings;

/// How a handle is brought across.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleForm {
    /// By the RPC runtime: MIDL's `system_handle`. Windows 10 1607 and later.
    System,
    /// By routines of ours, named by the kind's number: `user_marshal`. For Wine, which doesn't know
    /// the other.
    UserMarshal,
}

/// An interface as COM needs it: its tables, and how to call its methods.
#[derive(Debug)]
pub struct Compiled {
    /// The identifier of the interface.
    pub iid: Guid,
    /// Its name.
    pub name: &'static str,
    /// Its tables.
    pub tables: Tables,
    /// Its methods, without those of `IUnknown`.
    pub methods: Vec<MethodPlan>,
}

/// The tables of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// The types: `MIDL_TYPE_FORMAT_STRING::Format`.
    pub types: Vec<u8>,
    /// The methods: `MIDL_PROC_FORMAT_STRING::Format`.
    pub procedures: Vec<u8>,
    /// Where each method is in `procedures`. COM counts the three of `IUnknown` first: what it is
    /// given points three places before this.
    pub offsets: Vec<u16>,
}

impl Compiled {
    /// Makes the tables of an interface.
    ///
    /// # Errors
    /// It is larger than tables can be.
    pub fn new(interface: &'static Interface, form: HandleForm) -> Result<Self, TableError> {
        let plans = interface.methods.iter().zip(0..);
        let plans = plans.map(|(method, number)| MethodPlan::new(number, method));
        let methods: Vec<_> = plans.collect();
        let tables = Tables::of(&methods, form)?;
        Ok(Self { iid: interface.iid, name: interface.name, tables, methods })
    }
}

impl Tables {
    fn of(methods: &[MethodPlan], form: HandleForm) -> Result<Self, TableError> {
        let mut types = TypeStrings::new(form);
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

/// An interface is larger than tables can be: offsets in them have 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableError {
    /// The first method that has no place any more.
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

/// The number of an interface's first own method: those of `IUnknown` come before.
pub const FIRST_METHOD: u16 = 3;

/// What MIDL writes into a `MIDL_STUB_DESC` beside the tables.
pub mod stub {
    /// `fCheckBounds`.
    pub const CHECK_BOUNDS: i32 = 1;
    /// `Version`: that of the NDR library which is needed at least.
    pub const VERSION: u32 = 0xa_0000;
    /// `MIDLVersion`: 8.1.628.
    pub const MIDL_VERSION: i32 = 0x801_0274;
    /// `mFlags`: the DCE syntax.
    pub const FLAGS: usize = 1;
    /// `ProxyFileInfo::TableVersion`.
    pub const TABLE_VERSION: u16 = 2;
    /// How many quadruples of routines [`HandleForm::UserMarshal`](super::HandleForm) names.
    pub const USER_MARSHAL_COUNT: usize = 13;
}
