//! Tests calls through COM between processes. On Windows, the RPC runtime encodes handles. Wine
//! can't do that, so under Wine this library encodes them.
//!
//! This program runs the tests, and also acts as their clients and as the servers that COM starts
//! for them.

#[cfg_attr(windows, path = "windows.rs")]
#[cfg_attr(not(windows), path = "elsewhere.rs")]
mod platform;

fn main() -> std::process::ExitCode {
    platform::main()
}
