//! The checks of fuzzing inputs, with a module for each kind. Its `run` checks an input.
//!
//! The fuzz targets get their inputs from a coverage-guided engine. An ordinary test uses the
//! corpora and random changes of them.

pub mod described;
pub mod ends;
pub mod idl;
pub mod idl_rust;
pub mod opening;
pub mod registration;
pub mod values;

/// A function that checks an input.
pub type Run = fn(&[u8]);

/// All checks, by the names of their corpora.
pub const ALL: [(&str, Run); 7] = [
    ("described", described::run),
    ("ends", ends::run),
    ("idl", idl::run),
    ("idl_rust", idl_rust::run),
    ("opening", opening::run),
    ("registration", registration::run),
    ("values", values::run),
];
