//! One model of an interface, the generator of Rust for it, and the front ends.
//!
//! [`model::Interface`] is what an interface *is*: the `#[interface]` macro (by
//! [`rust::interface`]) and the front end for `.idl` files (`front`) both end there, and
//! [`generate::interface`] goes from there to Rust, so that the two can't drift apart. This crate
//! imports nothing else of syshandle.

pub mod diff;
pub mod emit;
#[cfg(feature = "front")]
mod front;
pub mod generate;
#[cfg(feature = "front")]
mod layout;
#[cfg(feature = "front")]
mod lower;
pub mod model;
pub mod rust;

#[cfg(feature = "front")]
pub use front::{
    Color, Diagnostic, Location, Options, Preprocessor, Report, Severity, Statistics, check,
    check_text,
};
#[cfg(feature = "front")]
pub use lower::{
    Build, LayoutDifference, Lowered, build, describe, describe_file, describe_text,
    emitted_differences,
};
