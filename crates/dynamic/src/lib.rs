//! A client for servers of syshandle whose interfaces are known only at run time.
//!
//! [`DynamicClient`] connects to an object, asks its server for the description of the object's
//! interface, and calls methods with [`Value`]s. Each value is checked against the description before
//! the call is sent, and an error names the place of a wrong value. Linux only.
//!
//! ```
//! use syshandle::{Result, interface};
//! use syshandle_dynamic::{DynamicClient, Value};
//!
//! #[interface(iid = "5d6a3cfe-6c8b-4d5f-8a43-0b8d6a1f5c01")]
//! trait Counter {
//!     /// Adds a number.
//!     fn add(&self, number: u32) -> Result<u32>;
//! }
//!
//! struct Zero;
//!
//! impl Counter for Zero {
//!     fn add(&self, number: u32) -> Result<u32> {
//!         Ok(number)
//!     }
//! }
//!
//! # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! let door = syshandle::direct::make_door::<dyn Counter, _>(Zero)?;
//! // This client does not use the trait.
//! let counter = DynamicClient::from_door(door, None)?;
//! assert_eq!(counter.description()?.methods[0].docs, "Adds a number.");
//! assert_eq!(counter.call("add", &[3_u32.into()])?, Value::Unsigned(3));
//! let error = counter.call("add", &["three".into()]).unwrap_err();
//! assert_eq!(error.to_string(), "Counter::add: parameter `number`: expected u32, got a text");
//! # Ok(())
//! # }
//! ```
#![cfg(not(windows))]

mod client;
mod error;
#[doc(hidden)]
pub mod offline;
mod reader;
mod schema;
mod value;
mod writer;

pub use client::DynamicClient;
pub use error::Error;
pub use value::{HandleValue, Value};

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
