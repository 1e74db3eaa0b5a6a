//! The model of an interface, and code that the macros share.
//!
//! [`Interface`] describes an interface from a Rust trait or from an `.idl` file.
//! [`traits::interface`] reads a trait, and [`generate::interface`] writes the Rust code. The crate
//! `syshandle-idl` reads `.idl` files. This crate depends on no other crate of syshandle.

pub mod generate;
mod library;
mod model;
pub mod traits;

pub use library::Library;
pub use model::*;
