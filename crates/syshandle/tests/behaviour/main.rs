//! Tests the promises to users over every transport: in process, over a socket between two
//! processes, and through doors.
//!
//! The tests start this program again as their servers and other clients: see [`support::process`].
//!
//! On Windows only the tests that need no other process run here. `tests/com` has the others.
#![expect(clippy::unwrap_used, reason = "a failed assumption is a failed test")]
#![cfg_attr(
    not(windows),
    expect(clippy::print_stdout, reason = "a test says what it could do, and why not more"),
    expect(clippy::incompatible_msrv, reason = "tests may need a newer compiler than users")
)]

mod local_streams;
mod method_errors;
mod reentrancy;
mod simulated_context;
mod support;
mod withdrawal;

cfg_if::cfg_if! {
    if #[cfg(not(windows))] {
        #[cfg(feature = "tokio")]
        mod async_server;
        #[cfg(feature = "tokio")]
        mod asynchronous;
        mod changes;
        mod client;
        mod compatibility;
        mod compatibility_rules;
        mod connection_streams;
        mod death;
        mod description;
        mod direct;
        mod dispatched_server;
        mod doors;
        mod errors;
        mod event_loop;
        mod growth;
        mod in_process;
        mod limits;
        mod malformed;
        mod memory;
        mod negotiation;
        mod numbers;
        mod objects;
        mod one_way;
        mod ownership;
        mod panics;
        mod pending_call;
        mod registered;
        mod server;
        mod serving;
        mod streams;
        mod subscribers;
        mod values;
        mod work;
    }
}
