//! Checks every method in a corpus of `.idl` files. If a method's format strings differ from those
//! that `widl` generates, `syshandle_idl` must have reported a difference.
//!
//! `widl` is the IDL compiler of Wine and MinGW. It doesn't support `system_handle`, so the module
//! `handles` compares methods with handles with MIDL's published format strings. `ci/idl-layouts`
//! runs this test and shows its output.

// The corpus uses types that the library supports only on Linux.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]
#![expect(clippy::incompatible_msrv, reason = "tests may need a newer compiler than users")]

mod corpus;
mod description;
mod exceptions;
mod handles;
#[path = "../com/ndr.rs"]
mod ndr;
mod verdict;
mod widl;
