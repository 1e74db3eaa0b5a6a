//! The model of an interface, and code that syshandle's macros and tools share.
//!
//! [`Interface`] describes an interface that comes from a Rust trait or an `.idl` file.
//! [`traits::interface`] converts a trait to the model, and [`generate::interface`] generates Rust
//! code from the model. The crate `syshandle-idl` converts `.idl` files. This crate depends on no
//! other crate of syshandle.

pub mod generate;
mod library;
mod model;
pub mod traits;

pub use library::Library;
pub use model::*;
