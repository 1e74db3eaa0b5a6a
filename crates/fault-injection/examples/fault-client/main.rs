//! The sample's client under injected failures. It does nothing on Windows, because failures are
//! injected only on Linux.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(windows),
    expect(clippy::print_stdout, clippy::print_stderr, reason = "prints its result for a test")
)]

#[cfg(not(windows))]
mod linux;

#[cfg(not(windows))]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(windows)]
fn main() {}
