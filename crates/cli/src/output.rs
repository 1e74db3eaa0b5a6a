//! Writes to standard output and standard error. Every command uses [`outln!`] and [`errln!`].
//!
//! A failed write does not end a command. The command completes its work, and [`exit_code`] reports
//! the failure. Control characters are always escaped, even in trusted text.

use std::fmt::Arguments;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use syshandle_types::Printable;

/// Writes one line to standard output, like `println!`.
macro_rules! outln {
    ($($text:tt)*) => { $crate::output::write_out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes one line to standard error, like `eprintln!`.
macro_rules! errln {
    ($($text:tt)*) => { $crate::output::write_err(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {errln, outln};

/// The first failure to write to standard output.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// Writes lines to standard output.
pub(crate) fn write_out(text: Arguments<'_>) {
    write_file(&Printable::lines(&text.to_string()));
}

/// Writes the content of a file to standard output. Escapes control characters if the output is a
/// terminal.
pub(crate) fn write_content(text: &str) {
    if io::stdout().is_terminal() {
        write_out(format_args!("{text}"));
    } else {
        write_file(text);
    }
}

fn write_file(text: &str) {
    // After a failed write, further output is dropped. Otherwise, output with a gap could be
    // mistaken for complete output.
    if FAILURE.get().is_some() {
        return;
    }
    if let Err(error) = io::stdout().write_all(text.as_bytes()) {
        let _ = FAILURE.set(error);
    }
}

/// Writes lines to standard error. Ignores a failure, because it can't be reported anywhere.
pub(crate) fn write_err(text: Arguments<'_>) {
    let _ = io::stderr().write_all(Printable::lines(&text.to_string()).as_bytes());
}

/// Returns the exit code of the process. This is the exit code of the command, or a failure if the
/// command succeeded but a write failed.
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
        errln!("syshandle: the command succeeded, but its output is incomplete");
        return ExitCode::FAILURE;
    }
    command
}

/// The exit code that shells report for a program that SIGPIPE has ended: 128 + 13.
const SIGPIPE_EXIT: u8 = 141;
