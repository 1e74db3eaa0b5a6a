//! Calls through COM, between real processes. Under Wine handles cross in the form that only Wine
//! needs; on Windows in the runtime's own.
//!
//! This program is the tests, the servers that COM starts for them, and their clients.

#[cfg_attr(windows, path = "windows.rs")]
#[cfg_attr(not(windows), path = "elsewhere.rs")]
mod platform;

fn main() -> std::process::ExitCode {
    platform::main()
}
