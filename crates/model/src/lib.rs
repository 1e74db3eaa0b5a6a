//! The model of an interface, and the parts that the macros need.
//!
//! [`Interface`] describes an interface, whether it was written as a Rust trait or in an `.idl` file.
//! [`traits::interface`] reads a trait; [`generate::interface`] writes the Rust code. The reader of
//! `.idl` files is the crate `syshandle-idl`. This crate depends on no other crate of syshandle.

pub mod generate;
mod model;
pub mod traits;

pub use model::*;
