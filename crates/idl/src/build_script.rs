//! Converts `.idl` files to Rust in a build script (`build.rs`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use crate::front::diagnostic::Severity;
use crate::front::{Location, Options};
use crate::lower::describe;
use crate::rust::CratePathError;

/// Converts an `.idl` file to Rust and writes the result to `OUT_DIR`, with the name of the file
/// and the extension `.rs`. In `build.rs`:
///
/// ```no_run
/// syshandle_idl::build("idl/sparkle.idl");
/// ```
///
/// In the module that should contain the interfaces:
///
/// ```ignore
/// include!(concat!(env!("OUT_DIR"), "/sparkle.rs"));
/// ```
///
/// Cargo reruns the build script if the file, or another file in its directory, changes. If the
/// file has errors, prints them like `syshandle idl check` and exits with code 1. Use [`Build`] to
/// set options.
pub fn build(path: impl AsRef<Path>) {
    Build::new(path).run();
}

/// A conversion like [`build`], with options:
///
/// ```no_run
/// syshandle_idl::Build::new("idl/everything.idl").search("idl/shared").only("IFinisher").run();
/// ```
#[derive(Clone, Debug)]
pub struct Build {
    path: PathBuf,
    options: Options,
    crate_path: Option<String>,
}

impl Build {
    /// Creates a build for this file.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), options: Options::default(), crate_path: None }
    }

    /// Adds a directory to search for imported files.
    #[must_use]
    pub fn search(mut self, directory: impl AsRef<Path>) -> Self {
        self.options.search.push(directory.as_ref().to_owned());
        self
    }

    /// Defines a preprocessor macro in every file, given as `NAME` or `NAME=VALUE`.
    #[must_use]
    pub fn define(mut self, macro_: impl Into<String>) -> Self {
        self.options.definitions.push(macro_.into());
        self
    }

    /// Converts only this interface or class and the types that it uses. `name` is the name in the
    /// `.idl` file. Call this method once for each interface or class. If it is never called,
    /// everything is converted.
    #[must_use]
    pub fn only(mut self, name: impl Into<String>) -> Self {
        self.options.only.push(name.into());
        self
    }

    /// Converts this enum to an integer type with constants instead of a Rust enum. `name` is the
    /// name in the `.idl` file. Use it for enums whose constants can be combined and that lack the
    /// attribute `flag_enum`.
    #[must_use]
    pub fn flags(mut self, name: impl Into<String>) -> Self {
        self.options.flags.push(name.into());
        self
    }

    /// Declares that only programs that use syshandle call and serve this interface, and that none
    /// of them uses the C header that MIDL generates. A COM layout that differs from the layout in
    /// the `.idl` file is then not reported. `name` is the name in the `.idl` file.
    #[must_use]
    pub fn private(mut self, name: impl Into<String>) -> Self {
        self.options.private.push(name.into());
        self
    }

    /// Sets the path of the library in the generated code, for a crate that uses a re-export of
    /// syshandle. It corresponds to `crate = …` in `#[interface]`. By default, the path is
    /// `syshandle`. In `build.rs`:
    ///
    /// ```no_run
    /// syshandle_idl::Build::new("idl/sparkle.idl").crate_path("my_sdk::syshandle").run();
    /// ```
    #[must_use]
    pub fn crate_path(mut self, path: impl Into<String>) -> Self {
        self.crate_path = Some(path.into());
        self
    }

    /// Writes the Rust file. If there are errors, prints them and exits with code 1.
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
        let mut options = self.options.clone();
        if let Some(path) = &self.crate_path {
            let invalid = |error: CratePathError| format!("`Build::crate_path`: {error}");
            options.crate_path = Some(path.parse().map_err(invalid)?);
        }
        let lowered = describe(std::slice::from_ref(&self.path), &options);
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

/// Prints an instruction to Cargo.
#[expect(clippy::print_stdout, reason = "how a build script talks to cargo")]
fn tell(what: &str) {
    println!("cargo::{what}");
}
