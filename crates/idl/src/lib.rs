//! Reads and writes `.idl` files in the language of Microsoft's MIDL compiler.
//!
//! [`check`](fn@check) reports the errors in a file. [`describe`] converts a file to the model of
//! the crate `syshandle-model`. From the model, [`LoweringOutput::rust`] and [`build`] generate
//! Rust traits, and [`emit`] generates an `.idl` file. [`diff`](mod@diff) compares two versions of
//! an interface. This crate doesn't depend on syshandle's runtime.

mod build_script;
pub mod diff;
mod directions;
pub mod emit;
mod front;
mod layout;
mod lower;
pub mod rust;

pub use build_script::{Build, build};
pub use emit::{LayoutDifference, emitted_differences};
pub use front::{
    Color, Diagnostic, Location, Options, Preprocessor, Report, Severity, Statistics, check,
    check_text,
};
pub use lower::{LoweringOutput, describe, describe_file, describe_text};
