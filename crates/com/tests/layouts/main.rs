//! Every method of a corpus of `.idl` files. If its tables differ from the tables that `widl` makes of
//! the file, `syshandle_idl` must have reported it.
//!
//! `widl` is the IDL compiler of Wine and MinGW. It doesn't know `system_handle`, so methods with
//! handles are compared with `handles.txt` instead. `ci/idl-layouts` runs this with its output.

// The interfaces of the corpus have types that the library has on Linux alone.
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
