//! The sample's client under injected failures. By default, it lets the server finish the file
//! named in its argument, and prints the outcome. Two other arguments select a client with
//! pipelined calls and a client with large values.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use syshandle::Activation;
use syshandle_fault_injection::injection::arm_from_environment;
use syshandle_fault_injection::large_values::{LARGE_VALUES, call_large};
use syshandle_fault_injection::pipelined_calls::{PIPELINED_CALLS, call_pipelined};
use syshandle_fault_injection::sample_client::finish;

pub(crate) fn main() -> ExitCode {
    if let Err(error) = arm_from_environment() {
        eprintln!("no failures can be made here: {error}");
        return ExitCode::from(77);
    }
    let path = PathBuf::from(std::env::args_os().nth(1).unwrap_or_default());
    let (activation, timeout) = (Activation::new(), Duration::from_secs(10));
    let (outcome, text) = match path.to_str() {
        Some(PIPELINED_CALLS) => call_pipelined(&activation, timeout),
        Some(LARGE_VALUES) => call_large(&activation, timeout),
        _ => finish(&activation, &path, timeout),
    };
    println!("{outcome}");
    eprintln!("{text}");
    ExitCode::SUCCESS
}
