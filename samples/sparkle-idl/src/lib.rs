//! The interface of the sparkle sample, generated from `sparkle.idl`. An example for programs that
//! start from an `.idl` file: `build.rs` generates the Rust code, and this file includes it.

#![forbid(unsafe_code)]
#![expect(missing_docs, reason = "an .idl file documents what has a helpstring")]

include!(concat!(env!("OUT_DIR"), "/sparkle.rs"));

/// A test interface that uses each feature of IDL which is supported on both systems.
pub mod variety {
    include!(concat!(env!("OUT_DIR"), "/variety.rs"));
}
