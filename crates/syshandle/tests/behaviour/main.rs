//! Tests the promises to users over every transport: in process, over a socket between two
//! processes, and through doors.
//!
//! The tests start this program again as their servers and other clients: see [`support::process`].
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]
#![expect(clippy::print_stdout, reason = "a test says what it could do, and why not more")]
#![expect(clippy::incompatible_msrv, reason = "tests may need a newer compiler than users")]

mod client;
mod death;
mod description;
mod direct;
mod doors;
mod errors;
mod in_process;
mod limits;
mod malformed;
mod memory;
mod method_errors;
mod objects;
mod ownership;
mod panics;
mod pending_call;
mod reentrancy;
mod server;
mod serving;
mod simulated_context;
mod support;
mod values;
mod work;
