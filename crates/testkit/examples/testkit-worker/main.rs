//! The worker of a broker: confines itself, and then receives handles of all kinds.

#[cfg_attr(windows, path = "../testkit-client/elsewhere.rs")]
#[cfg_attr(not(windows), path = "linux.rs")]
mod platform;

use std::process::ExitCode;

fn main() -> ExitCode {
    platform::main()
}
