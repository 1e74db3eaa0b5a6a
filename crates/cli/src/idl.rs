//! `syshandle idl`: checks `.idl` files, converts them to Rust, and compares interfaces.

mod diff;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use syshandle::{Error, Result};
use syshandle_idl::emit::emit;
use syshandle_idl::rust::CratePath;
use syshandle_idl::{
    LayoutDifference, LoweringOutput, Options, Report, check, describe, describe_file,
    emitted_differences,
};
use syshandle_types::Printable;

use crate::output::{errln, outln, write_content, write_err};

/// The subcommands of `syshandle idl`.
#[derive(Subcommand)]
pub(crate) enum IdlCommand {
    /// Report the errors of .idl files
    Check {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Also convert the files to Rust, and fail if a method's COM layout in Rust differs from
        /// the layout in the file
        #[arg(long)]
        com: bool,
        /// With --com: do not check this interface, because all its callers and servers use
        /// syshandle
        #[arg(long, value_name = "NAME", requires = "com")]
        private: Vec<String>,
        /// With --com: an enum whose constants can be combined (see `idl rust`)
        #[arg(long, value_name = "NAME", requires = "com")]
        flags: Vec<String>,
        #[command(flatten)]
        read_options: ReadOptions,
    },
    /// Write the Rust source of an .idl file
    ///
    /// If a method's COM layout in Rust differs from the layout in the file, a warning is printed
    /// and the method is marked, so that a proxy DLL refuses its interface. An interface with an
    /// unsupported part is omitted completely; the others are written, and the exit code is 1.
    Rust {
        /// The file
        file: PathBuf,
        /// Write only this interface or class, with everything that it uses; by default, everything
        /// is written
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
        /// An enum whose constants can be combined; it is converted to an integer type with
        /// constants
        #[arg(long, value_name = "NAME")]
        flags: Vec<String>,
        /// An interface whose callers and servers all use syshandle; a COM layout that differs from
        /// the file is not reported
        #[arg(long, value_name = "NAME")]
        private: Vec<String>,
        /// The path of the library in the source, for a crate that uses a re-export of it; by
        /// default, `syshandle`
        #[arg(long = "crate", value_name = "PATH")]
        crate_path: Option<CratePath>,
        /// The output file; by default, the standard output
        #[arg(short, long)]
        output: Option<PathBuf>,
        #[command(flatten)]
        read_options: ReadOptions,
    },
    /// Write an .idl file for the interfaces in a Rust file
    ///
    /// It is an error if a method's COM layout in the .idl file would differ from the layout of the
    /// trait, unless the interface is private. If only access masks differ, a warning is printed.
    Emit {
        /// The Rust file, with `#[interface]` traits
        file: PathBuf,
        /// The output file; by default, the standard output
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Report the changes between two .idl or .rs files, and which of them give a peer more
    /// authority
    ///
    /// Modules of a Rust file are read from their own files. The exit code is 1 if a change is
    /// denied, and 2 if the files can't be compared.
    Diff(diff::DiffArguments),
}

/// Options for reading `.idl` files.
#[derive(clap::Args)]
pub(crate) struct ReadOptions {
    /// A directory to search for imported files
    #[arg(short = 'I', value_name = "DIR")]
    search: Vec<PathBuf>,
    /// A macro to define in every file
    #[arg(short = 'D', value_name = "NAME[=VALUE]")]
    definitions: Vec<String>,
}

pub(crate) fn run(command: &IdlCommand) -> Result<ExitCode> {
    match command {
        IdlCommand::Check { files, com: true, private, flags, read_options } => {
            let options = Options {
                private: private.clone(),
                flags: flags.clone(),
                deny_layouts: true,
                ..read_options.options()
            };
            Ok(check_layouts(&describe(files, &options)))
        }
        IdlCommand::Check { files, read_options, .. } => {
            let report = check(files, &read_options.options());
            let code = print_report(&report);
            if report.is_success() {
                let statistics = report.statistics();
                let files = match statistics.files {
                    1 => "1 file is".to_owned(),
                    count => format!("{count} files are"),
                };
                match statistics.gaps {
                    0 => outln!("{files} valid"),
                    1 => outln!(
                        "{files} without errors; 1 warning names parts that were not checked"
                    ),
                    gaps => {
                        outln!(
                            "{files} without errors; {gaps} warnings name parts that were not checked"
                        )
                    }
                }
            }
            Ok(code)
        }
        IdlCommand::Rust { file, only, flags, private, crate_path, output, read_options } => {
            let options = Options {
                only: only.clone(),
                flags: flags.clone(),
                private: private.clone(),
                crate_path: crate_path.clone(),
                ..read_options.options()
            };
            let lowered = describe(std::slice::from_ref(file), &options);
            let code = print_report(&lowered.report);
            // Valid interfaces are written even if other interfaces have errors.
            if !lowered.description.is_empty() || lowered.report.is_success() {
                write_text(output.as_ref(), &lowered.rust())?;
            }
            Ok(code)
        }
        IdlCommand::Emit { file, output } => match emit_file(file) {
            Ok(text) => write_text(output.as_ref(), &text),
            Err(text) => {
                write_err(format_args!("{text}"));
                Ok(ExitCode::FAILURE)
            }
        },
        IdlCommand::Diff(arguments) => {
            let options = arguments.read_options.options();
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

impl ReadOptions {
    fn options(&self) -> Options {
        Options {
            search: self.search.clone(),
            definitions: self.definitions.clone(),
            ..Options::default()
        }
    }
}

/// Reports the methods whose COM layout differs, and counts each as an error.
fn check_layouts(lowered: &LoweringOutput) -> ExitCode {
    let code = print_report(&lowered.report);
    let interfaces = lowered.description.interfaces.iter().filter(|of| !of.is_private);
    let (mut all, mut others) = (0, 0);
    for method in interfaces.flat_map(|of| &of.methods) {
        all += 1;
        others += usize::from(method.differs.is_some());
    }
    match all {
        0 => outln!("the files declare no methods whose COM layout can be compared"),
        _ => outln!("{others} of {all} methods have a different COM layout in Rust"),
    }
    code
}

/// Converts a Rust file to the text of an `.idl` file.
///
/// # Errors
/// Returns the constructs that MIDL can't express, and the methods whose COM layout would differ.
fn emit_file(file: &Path) -> std::result::Result<String, String> {
    let message =
        |what: &str, text: String| format!("{what}: {}: {text}\n", Printable(file.display()));
    let described = describe_file(file, &Options::default())?;
    let text = emit(&described)
        .map_err(|wrong| wrong.into_iter().map(|of| message("error", of)).collect::<String>())?;
    let mut wrong = String::new();
    for LayoutDifference { method, reason, is_mask } in emitted_differences(&text, &described) {
        let what =
            format!("the COM layout of method `{method}` differs in the .idl file: {reason}");
        match is_mask {
            true => write_err(format_args!("{}", message("warning", what))),
            false => wrong += &message("error", what),
        }
    }
    if wrong.is_empty() { Ok(text) } else { Err(wrong) }
}

/// Prints the diagnostics and returns the exit code.
fn print_report(report: &Report) -> ExitCode {
    write_err(format_args!("{report}"));
    if report.is_success() {
        return ExitCode::SUCCESS;
    }
    let count = report.statistics().errors;
    errln!("syshandle: {count} {}", if count == 1 { "error" } else { "errors" });
    ExitCode::FAILURE
}

/// Writes a text to a file, or to the standard output.
fn write_text(output: Option<&PathBuf>, text: &str) -> Result<ExitCode> {
    match output {
        None => write_content(text),
        Some(path) => fs::write(path, text).map_err(|error| {
            Error::failed(format!("{} can't be written: {error}", Printable(path.display())))
        })?,
    }
    Ok(ExitCode::SUCCESS)
}
