//! Writes to the standard output and the standard error. Every command uses [`outln!`] and
//! [`errln!`].
//!
//! A failed write does not end a command: the command completes its work, and [`exit_code`] reports
//! the failure. Control characters are always escaped, independent of the origin of the text.

use std::fmt::Arguments;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use syshandle_types::Printable;

/// Writes one line to the standard output, like `println!`.
macro_rules! outln {
    ($($text:tt)*) => { $crate::output::write_out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes one line to the standard error, like `eprintln!`.
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

/// Writes the content of a file to the standard output. Control characters are escaped if the
/// output is a terminal.
pub(crate) fn write_content(text: &str) {
    if io::stdout().is_terminal() {
        write_out(format_args!("{text}"));
    } else {
        write_file(text);
    }
}

fn write_file(text: &str) {
    // After a failed write, further output is dropped, so that an incomplete output is not mistaken
    // for a complete one.
    if FAILURE.get().is_none()
        && let Err(error) = io::stdout().write_all(text.as_bytes())
    {
        let _ = FAILURE.set(error);
    }
}

/// Writes lines to the standard error. A failure is ignored, because it can't be reported anywhere.
pub(crate) fn write_err(text: Arguments<'_>) {
    let _ = io::stderr().write_all(Printable::lines(&text.to_string()).as_bytes());
}

/// Returns the exit code of the process: the command's, or a failure if the command succeeded but
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

/// The exit code that a shell reports for a program ended by SIGPIPE: 128 + 13.
const SIGPIPE_EXIT: u8 = 141;
