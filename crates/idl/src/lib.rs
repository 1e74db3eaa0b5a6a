//! One model of an interface, the generator of Rust for it, and the front end for .idl files.

#[cfg(feature = "front")]
pub mod front;

#[cfg(feature = "front")]
pub use front::{Options, Preprocessor, Report, Statistics, check, check_text};
