//! COM itself: what calls and serves interfaces through the tables of this crate. Windows only.
//!
//! All of it lives in the multithreaded apartment: whoever calls, serves or lets go of an object has
//! to be in it ([`enter_apartment`]). The one `unsafe` of COM is here, behind safe types:
//! [`Bound`], an interface that this process has tables for; [`Remote`], a reference to an object;
//! [`Served`], an object of this process; [`ClassObject`], what makes objects for clients that
//! activate a class; [`ProxyDll`], the tables for programs that aren't ours.

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

use syshandle_wire::Guid;
use windows_sys::core::GUID;

/// A GUID as COM has it in memory.
fn com_guid(guid: Guid) -> GUID {
    GUID::from_u128(u128::from_be_bytes(guid.to_bytes()))
}

/// A GUID of COM's, as it is written.
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
