//! The sample's client under faults: has the file of its argument finished, and says how that ended.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use syshandle::Activation;
use syshandle_torture::faults::arm_from_environment;
use syshandle_torture::finish::finish;

pub(crate) fn main() -> ExitCode {
    if let Err(error) = arm_from_environment() {
        eprintln!("no faults can be made here: {error}");
        return ExitCode::from(77);
    }
    let path = PathBuf::from(std::env::args_os().nth(1).unwrap_or_default());
    let (ending, text) = finish(&Activation::new(), &path, Duration::from_secs(10));
    println!("{ending}");
    eprintln!("{text}");
    ExitCode::SUCCESS
}
