//! The sample's server under injected failures.

#![forbid(unsafe_code)]
#![cfg_attr(not(windows), expect(clippy::print_stderr, reason = "a program that talks to a test"))]

#[cfg_attr(windows, path = "elsewhere.rs")]
#[cfg_attr(not(windows), path = "linux.rs")]
mod platform;

use syshandle::Result;

fn main() -> Result<()> {
    platform::main()
}
