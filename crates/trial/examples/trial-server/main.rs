//! The server that is tried.

#![forbid(unsafe_code)]

#[cfg_attr(windows, path = "elsewhere.rs")]
#[cfg_attr(not(windows), path = "linux.rs")]
mod platform;

use syshandle::Result;

fn main() -> Result<()> {
    platform::main()
}
