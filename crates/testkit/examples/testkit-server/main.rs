//! The server of the tests.

#![deny(unsafe_code)]

#[cfg_attr(windows, path = "elsewhere.rs")]
#[cfg_attr(not(windows), path = "linux.rs")]
mod platform;

#[cfg(not(windows))]
#[path = "../shared/fork.rs"]
mod fork;

use syshandle::Result;

fn main() -> Result<()> {
    platform::main()
}
