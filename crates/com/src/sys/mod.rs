//! Calling and serving interfaces with COM, through the tables of this crate. Windows only.
//!
//! A thread must be in the multithreaded apartment ([`enter_apartment`]) to call, serve or release
//! an object. All unsafe code of COM is in this module, behind safe types: [`RegisteredInterface`]
//! is an interface whose tables are registered in this process; [`InterfacePointer`] is a reference
//! to an object. [`ServedObject`] is an object of this process, and [`ClassObject`] creates objects
//! for clients that activate a class. [`ProxyDll`] provides the tables to programs that don't use
//! this crate.

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
