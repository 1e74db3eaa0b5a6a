//! What is done with inputs of any kind: a module for each, whose `run` takes the bytes.
//!
//! The fuzz targets feed them what a coverage-guided engine thinks of; an ordinary test the corpora,
//! and what is near them.

pub mod described;
pub mod ends;
pub mod idl;
pub mod idl_rust;
pub mod opening;
pub mod registration;
pub mod values;

/// What is done with an input.
pub type Run = fn(&[u8]);

/// All of them, by the names of their corpora.
pub const ALL: [(&str, Run); 7] = [
    ("described", described::run),
    ("ends", ends::run),
    ("idl", idl::run),
    ("idl_rust", idl_rust::run),
    ("opening", opening::run),
    ("registration", registration::run),
    ("values", values::run),
];
