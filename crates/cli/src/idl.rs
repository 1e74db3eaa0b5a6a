//! `syshandle idl`: checks `.idl` files, makes Rust of them, and compares interfaces.

mod diff;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use syshandle::{Error, Printable, Result};
use syshandle_idl::emit::emit;
use syshandle_idl::{Options, Report, check, describe, describe_file};

use crate::output::{errln, outln, write_content, write_err};

/// What to do with interfaces.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Say what is wrong with .idl files
    Check {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        reading: Reading,
    },
    /// Write the Rust of an .idl file
    ///
    /// An interface with a part that has no meaning here is left out as a whole; the others are
    /// written, and the exit code is 1.
    Rust {
        /// The file
        file: PathBuf,
        /// An interface or a class of the file, which is written with all that it uses; without
        /// any, all are
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
        /// An enum whose constants can be combined, which becomes a number with constants
        #[arg(long, value_name = "NAME")]
        flags: Vec<String>,
        /// Where to write; without it, to the standard output
        #[arg(short, long)]
        output: Option<PathBuf>,
        #[command(flatten)]
        reading: Reading,
    },
    /// Write the .idl file of a Rust file's interfaces
    Emit {
        /// The file, with `#[interface]` traits
        file: PathBuf,
        /// Where to write; without it, to the standard output
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Say what changed between two .idl or .rs files, and what gives a peer more than before
    ///
    /// Modules of a Rust file are read from their own files. The exit code is 1 if a change is denied
    /// and 2 if the files can't be compared.
    Diff(diff::Arguments),
}

/// How files are read.
#[derive(clap::Args)]
pub(crate) struct Reading {
    /// A directory in which imported files are looked for
    #[arg(short = 'I', value_name = "DIR")]
    search: Vec<PathBuf>,
    /// A macro that is defined in every file
    #[arg(short = 'D', value_name = "NAME[=VALUE]")]
    definitions: Vec<String>,
}

pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Check { files, reading } => {
            let report = check(files, &reading.options());
            let code = told(&report);
            if report.is_success() {
                let statistics = report.statistics();
                let files = match statistics.files {
                    1 => "1 file is".to_owned(),
                    count => format!("{count} files are"),
                };
                match statistics.gaps {
                    0 => outln!("{files} valid"),
                    1 => {
                        outln!("{files} without errors, but for what 1 warning says isn't checked")
                    }
                    gaps => {
                        outln!(
                            "{files} without errors, but for what {gaps} warnings say isn't checked"
                        )
                    }
                }
            }
            Ok(code)
        }
        Command::Rust { file, only, flags, output, reading } => {
            let options = Options { only: only.clone(), flags: flags.clone(), ..reading.options() };
            let lowered = describe(std::slice::from_ref(file), &options);
            let code = told(&lowered.report);
            // Interfaces without errors are written even if others have some.
            if !lowered.description.is_empty() || lowered.report.is_success() {
                written(output.as_ref(), &lowered.rust())?;
            }
            Ok(code)
        }
        Command::Emit { file, output } => {
            let text = describe_file(file, &Options::default()).and_then(|described| {
                let told = |what: String| format!("error: {}: {what}\n", Printable(file.display()));
                emit(&described).map_err(|wrong| wrong.into_iter().map(told).collect())
            });
            match text {
                Ok(text) => written(output.as_ref(), &text),
                Err(text) => {
                    write_err(format_args!("{text}"));
                    Ok(ExitCode::FAILURE)
                }
            }
        }
        Command::Diff(arguments) => {
            let options = arguments.reading.options();
            let old = describe_file(&arguments.old, &options);
            match (old, describe_file(&arguments.new, &options)) {
                (Ok(old), Ok(new)) => Ok(diff::run(arguments, &old, &new)),
                (old, new) => {
                    let wrong = old.err().into_iter().chain(new.err());
                    wrong.for_each(|text| write_err(format_args!("{text}")));
                    Ok(ExitCode::from(diff::NOT_COMPARED))
                }
            }
        }
    }
}

impl Reading {
    fn options(&self) -> Options {
        Options {
            search: self.search.clone(),
            definitions: self.definitions.clone(),
            ..Options::default()
        }
    }
}

/// Prints the findings and returns the exit code.
fn told(report: &Report) -> ExitCode {
    write_err(format_args!("{report}"));
    if report.is_success() {
        return ExitCode::SUCCESS;
    }
    let count = report.statistics().errors;
    errln!("syshandle: {count} {}", if count == 1 { "error" } else { "errors" });
    ExitCode::FAILURE
}

/// Writes a text to a file, or shows it.
fn written(output: Option<&PathBuf>, text: &str) -> Result<ExitCode> {
    match output {
        None => write_content(text),
        Some(path) => fs::write(path, text).map_err(|error| {
            Error::failed(format!("{} can't be written: {error}", Printable(path.display())))
        })?,
    }
    Ok(ExitCode::SUCCESS)
}
