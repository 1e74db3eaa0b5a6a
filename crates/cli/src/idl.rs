//! `syshandle idl`: checks `.idl` files, and makes Rust of them.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use syshandle::{Error, Result};
use syshandle_idl::{Options, Report, check, rust};

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
    Rust {
        /// The file
        file: PathBuf,
        /// Where to write; without it, to the standard output
        #[arg(short, long)]
        output: Option<PathBuf>,
        #[command(flatten)]
        reading: Reading,
    },
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
            let statistics = report.statistics();
            if report.is_success() {
                let (files, methods) = (statistics.files, statistics.methods);
                println!("{files} files, {} interfaces, {methods} methods", statistics.interfaces);
            }
            Ok(code)
        }
        Command::Rust { file, output, reading } => {
            match rust(std::slice::from_ref(file), &reading.options()) {
                Ok(text) => written(output.as_ref(), &text),
                Err(report) => Ok(told(&report)),
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

/// Says what was found; what that means for the exit code.
fn told(report: &Report) -> ExitCode {
    eprint!("{report}");
    if report.is_success() {
        return ExitCode::SUCCESS;
    }
    let count = report.statistics().errors;
    eprintln!("syshandle: {count} {}", if count == 1 { "error" } else { "errors" });
    ExitCode::FAILURE
}

/// Writes a text to a file, or shows it.
fn written(output: Option<&PathBuf>, text: &str) -> Result<ExitCode> {
    match output {
        None => print!("{text}"),
        Some(path) => fs::write(path, text).map_err(|error| {
            Error::failed(format!("{} can't be written: {error}", path.display()))
        })?,
    }
    Ok(ExitCode::SUCCESS)
}
