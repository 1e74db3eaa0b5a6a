//! Tests calls through COM between processes. Under Wine, handles are encoded in a form that only
//! Wine needs; on Windows, in the form of the RPC runtime.
//!
//! This program runs the tests, and also acts as their clients and as the servers that COM starts
//! for them.

#[cfg_attr(windows, path = "windows.rs")]
#[cfg_attr(not(windows), path = "elsewhere.rs")]
mod platform;

fn main() -> std::process::ExitCode {
    platform::main()
}
