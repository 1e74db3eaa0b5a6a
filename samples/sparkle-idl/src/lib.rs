//! The interface of the sparkle sample as it comes out of `sparkle.idl`, for programs that start
//! from an `.idl` file: `build.rs` makes the Rust, and this includes it.

#![forbid(unsafe_code)]
#![expect(missing_docs, reason = "an .idl file documents what has a helpstring")]

include!(concat!(env!("OUT_DIR"), "/sparkle.rs"));

/// An interface with something of each kind, for the tests.
pub mod variety {
    include!(concat!(env!("OUT_DIR"), "/variety.rs"));
}
