//! Runs Cargo and other programs.

use std::env;
use std::process::{Command, ExitCode};

/// Returns a command of the Cargo that runs this program.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command. Returns whether it succeeded, and prints why it can't be run.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("{command:?} can't be run: {error}");
            false
        }
    }
}

/// Runs a command as the only step of this program.
pub(crate) fn exit_code(command: &mut Command) -> ExitCode {
    match succeeds(command) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
