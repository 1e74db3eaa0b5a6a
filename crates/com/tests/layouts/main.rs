//! Checks every method of a corpus of `.idl` files: if its tables differ from the tables that
//! `widl` generates for the file, `syshandle_idl` must have reported the difference.
//!
//! `widl` is the IDL compiler of Wine and MinGW. It doesn't support `system_handle`, so the module
//! `handles` compares methods with handles with MIDL's published tables instead. `ci/idl-layouts`
//! runs this test and shows its output.

// The corpus uses types that the library only has on Linux.
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]

mod corpus;
mod description;
mod exceptions;
mod handles;
#[path = "../com/ndr.rs"]
mod ndr;
mod verdict;
mod widl;
