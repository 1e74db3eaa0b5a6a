//! What syshandle promises to its users, rule by rule and over every transport: in process, over
//! a socket between two processes, and through doors.
//!
//! This program is also the other processes of its tests: see [`support::process`].
#![cfg(not(windows))]
#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]
#![expect(clippy::print_stdout, reason = "a test says what it could do, and why not more")]

mod client;
mod death;
mod description;
mod direct;
mod doors;
mod errors;
mod limits;
mod malformed;
mod memory;
mod method_errors;
mod objects;
mod ownership;
mod panics;
mod pending;
mod server;
mod support;
mod values;
mod work;
