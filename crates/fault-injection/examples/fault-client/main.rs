//! The sample's client under injected failures.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(windows),
    expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to a test")
)]

#[cfg_attr(windows, path = "elsewhere.rs")]
#[cfg_attr(not(windows), path = "linux.rs")]
mod platform;

use std::process::ExitCode;

fn main() -> ExitCode {
    platform::main()
}
