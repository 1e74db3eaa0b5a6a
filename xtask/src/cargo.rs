//! Runs Cargo and other programs.

use std::env;
use std::process::{Command, ExitCode};

/// Returns a command that runs the same Cargo as the one that runs this program.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command and returns whether it succeeded. If it can't be started, prints the reason.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("{command:?} can't be run: {error}");
            false
        }
    }
}

/// Runs a command and returns its success or failure as an exit code.
pub(crate) fn exit_code(command: &mut Command) -> ExitCode {
    match succeeds(command) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
