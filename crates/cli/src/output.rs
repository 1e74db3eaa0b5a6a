//! The standard output and the standard error. Every command writes through [`outln!`] and
//! [`errln!`].
//!
//! A write that fails does not end a command: its work is carried out first, and [`exit_code`]
//! reports the failure. No output obeys control characters: those are escaped, whichever text they
//! came in with.

use std::fmt::Arguments;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use syshandle::Printable;

/// Writes one line to the standard output, as `println!` does.
macro_rules! outln {
    ($($text:tt)*) => { $crate::output::write_out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes one line to the standard error, as `eprintln!` does.
macro_rules! errln {
    ($($text:tt)*) => { $crate::output::write_err(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {errln, outln};

/// The first failure to write to the standard output.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// Writes lines to the standard output.
pub(crate) fn write_out(text: Arguments<'_>) {
    write_file(&Printable::lines(&text.to_string()));
}

/// Writes the content of a file to the standard output: unchanged, unless that is a terminal.
pub(crate) fn write_content(text: &str) {
    if io::stdout().is_terminal() {
        write_out(format_args!("{text}"));
    } else {
        write_file(text);
    }
}

fn write_file(text: &str) {
    // After a lost part the rest would be taken for the whole.
    if FAILURE.get().is_none()
        && let Err(error) = io::stdout().write_all(text.as_bytes())
    {
        let _ = FAILURE.set(error);
    }
}

/// Writes lines to the standard error. A failure is ignored, since nowhere is left to report it.
pub(crate) fn write_err(text: Arguments<'_>) {
    let _ = io::stderr().write_all(Printable::lines(&text.to_string()).as_bytes());
}

/// Returns the exit code of the process. It differs from the command's if the command succeeded and
/// its output was lost.
pub(crate) fn exit_code(command: ExitCode) -> ExitCode {
    if let Err(error) = io::stdout().flush() {
        let _ = FAILURE.set(error);
    }
    let Some(error) = FAILURE.get() else { return command };
    if error.kind() == io::ErrorKind::BrokenPipe {
        return if command == ExitCode::SUCCESS { ExitCode::from(SIGPIPE_EXIT) } else { command };
    }
    errln!("syshandle: the standard output can't be written: {error}");
    if command == ExitCode::SUCCESS {
        errln!("syshandle: the command itself succeeded");
        return ExitCode::FAILURE;
    }
    command
}

/// The exit code that a shell reports for a program that SIGPIPE ended: 128 + 13.
const SIGPIPE_EXIT: u8 = 141;
