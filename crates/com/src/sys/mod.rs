//! Calls and serves interfaces with COM. Windows only.
//!
//! A thread must enter the multithreaded apartment ([`enter_apartment`]) before it calls, serves or
//! releases an object. All unsafe code that uses COM is in this module, behind safe types.
//!
//! A [`RegisteredInterface`] is an interface whose format strings are registered in this process.
//! An [`InterfacePointer`] is a reference to an object. A [`ServedObject`] is an object of this
//! process, and a [`ClassObject`] creates objects for clients that activate a class. A [`ProxyDll`]
//! provides the format strings to programs that don't use this crate.

mod abi;
mod apartment;
mod caller;
mod class_factory;
mod class_object;
mod com_error;
mod dispatch;
mod error_info;
mod guid;
mod interface_pointer;
mod pin;
mod process_memory;
mod proxy_dll;
mod proxy_file;
mod registered_interface;
mod served_object;
mod user_marshal;

pub use apartment::{cancel_call, enter_apartment, logical_thread, take_cancellations};
pub use caller::Caller;
pub use class_object::{ClassObject, ServerProcess};
pub use com_error::ComError;
pub use dispatch::{IncomingCall, ReplySender, Serve};
pub use interface_pointer::{CallResult, InterfacePointer, LentHandle, ReceivedHandle};
pub use proxy_dll::ProxyDll;
pub use registered_interface::RegisteredInterface;
pub use served_object::ServedObject;
