//! The client of the tests.

#[cfg_attr(windows, path = "elsewhere.rs")]
#[cfg_attr(not(windows), path = "linux.rs")]
mod platform;

#[cfg(not(windows))]
#[path = "../shared/fork.rs"]
mod fork;

use std::process::ExitCode;

fn main() -> ExitCode {
    platform::main()
}
