//! Measures the latency of a client while many methods of other clients block (`cargo xtask
//! blocked`). It does nothing on Windows, where COM runs the methods.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(windows),
    expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its results")
)]

#[cfg(not(windows))]
mod linux;

#[cfg(not(windows))]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(windows)]
fn main() {}
