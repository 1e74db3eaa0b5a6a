//! Calling and serving interfaces with COM, through the tables of this crate. Windows only.
//!
//! A thread must be in the multithreaded apartment ([`enter_apartment`]) to call, serve or release
//! an object. All unsafe code of COM is in this module, behind safe types: [`Bound`] is an
//! interface whose tables are registered in this process; [`Remote`] is a reference to an object.
//! [`Served`] is an object of this process, and [`ClassObject`] creates objects for clients that
//! activate a class. [`ProxyDll`] provides the tables to programs that don't use this crate.

mod allocation;
mod apartment;
mod bound;
mod caller;
mod class_object;
mod error_info;
mod factory;
mod incoming;
mod layout;
mod pinned;
mod proxy_dll;
mod proxy_file;
mod remote;
mod served;
mod transfer;

pub use apartment::{cancel_call, enter_apartment, logical_thread, take_cancellations};
pub use bound::Bound;
pub use class_object::{ClassObject, ServerProcess};
pub use incoming::{Caller, Given, Replying, Serve};
pub use proxy_dll::ProxyDll;
pub use remote::{Came, ComError, Outcome, Passing, Remote};
pub use served::Served;

use syshandle_types::Guid;
use windows_sys::core::GUID;

/// Converts a GUID to COM's structure.
fn com_guid(guid: Guid) -> GUID {
    GUID::from_u128(u128::from_be_bytes(guid.to_bytes()))
}

/// Converts COM's structure to a GUID.
fn own_guid(guid: &GUID) -> Guid {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&guid.data1.to_be_bytes());
    bytes[4..6].copy_from_slice(&guid.data2.to_be_bytes());
    bytes[6..8].copy_from_slice(&guid.data3.to_be_bytes());
    bytes[8..].copy_from_slice(&guid.data4);
    Guid::from_bytes(bytes)
}

fn same(a: &GUID, b: &GUID) -> bool {
    (a.data1, a.data2, a.data3, a.data4) == (b.data1, b.data2, b.data3, b.data4)
}
