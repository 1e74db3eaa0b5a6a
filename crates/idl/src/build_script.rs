//! The functions for a `build.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use crate::front::diagnostic::Severity;
use crate::front::{Location, Options};
use crate::lower::describe;

/// Writes the Rust source of an `.idl` file to `OUT_DIR`, with the file's name and the extension
/// `.rs`. In a `build.rs`:
///
/// ```no_run
/// syshandle_idl::build("idl/sparkle.idl");
/// ```
///
/// And in the module for the interfaces:
///
/// ```ignore
/// include!(concat!(env!("OUT_DIR"), "/sparkle.rs"));
/// ```
///
/// Cargo reruns the build script if the file or another file in its directory changes. Errors in
/// the file are printed as by `syshandle idl check`, and the build ends with exit code 1. [`Build`]
/// has options.
pub fn build(path: impl AsRef<Path>) {
    Build::new(path).run();
}

/// [`build`] with options:
///
/// ```no_run
/// syshandle_idl::Build::new("idl/everything.idl").search("idl/shared").only("IFinisher").run();
/// ```
#[derive(Clone, Debug)]
pub struct Build {
    path: PathBuf,
    options: Options,
}

impl Build {
    /// Creates a build for this file.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), options: Options::default() }
    }

    /// Adds a directory to search for imported files.
    #[must_use]
    pub fn search(mut self, directory: impl AsRef<Path>) -> Self {
        self.options.search.push(directory.as_ref().to_owned());
        self
    }

    /// Defines a macro in every file, by `NAME` or `NAME=VALUE`.
    #[must_use]
    pub fn define(mut self, macro_: impl Into<String>) -> Self {
        self.options.definitions.push(macro_.into());
        self
    }

    /// Selects an interface or a class to convert, by its name in the file, with the types that it
    /// uses. May be called several times. Without it, everything is converted.
    #[must_use]
    pub fn only(mut self, name: impl Into<String>) -> Self {
        self.options.only.push(name.into());
        self
    }

    /// Converts an enum to a number with constants, by its name in the file. Use it if the
    /// constants can be combined and the file doesn't say `flag_enum`.
    #[must_use]
    pub fn flags(mut self, name: impl Into<String>) -> Self {
        self.options.flags.push(name.into());
        self
    }

    /// Declares an interface private to syshandle, by its name in the file. Its callers and servers
    /// are programs of this crate and never use the header that MIDL generates from the file. A COM
    /// layout that differs from the file's is then not reported.
    #[must_use]
    pub fn private(mut self, name: impl Into<String>) -> Self {
        self.options.private.push(name.into());
        self
    }

    /// Writes the file, or prints the errors and ends the build.
    pub fn run(self) {
        if let Err(message) = self.write() {
            #[expect(
                clippy::print_stderr,
                reason = "where cargo looks for a build script's errors"
            )]
            {
                eprintln!("{message}");
            }
            process::exit(1);
        }
    }

    fn write(&self) -> Result<(), String> {
        let beside = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let watched = self.options.search.iter().map(PathBuf::as_path);
        for watched in watched.chain([self.path.as_path()]).chain(beside) {
            tell(&format!("rerun-if-changed={}", watched.display()));
        }
        let lowered = describe(std::slice::from_ref(&self.path), &self.options);
        let report = &lowered.report;
        if !report.is_success() {
            return Err(report.to_string());
        }
        let warnings = report.diagnostics().iter();
        for warning in warnings.filter(|of| of.severity == Severity::Warning) {
            let place = report.location(warning);
            let place = place.map(|Location { file, line, .. }| format!("{file}:{line}: "));
            tell(&format!("warning={}{}", place.unwrap_or_default(), warning.message));
        }
        let directory = std::env::var_os("OUT_DIR")
            .ok_or("OUT_DIR isn't set: `syshandle_idl::build` is for a `build.rs`")?;
        let name = self.path.with_extension("rs");
        let name = name.file_name().ok_or("the path names no file")?;
        let written = PathBuf::from(directory).join(name);
        fs::write(&written, lowered.rust())
            .map_err(|error| format!("{} can't be written: {error}", written.display()))
    }
}

/// Prints an instruction for cargo.
#[expect(clippy::print_stdout, reason = "how a build script talks to cargo")]
fn tell(what: &str) {
    println!("cargo::{what}");
}
