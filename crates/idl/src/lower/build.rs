//! What a `build.rs` calls.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use super::describe;
use crate::front::diagnostic::Severity;
use crate::front::{Location, Options};

/// Writes the Rust of an `.idl` file to `OUT_DIR`, under its name with `.rs`. For a `build.rs`:
///
/// ```no_run
/// syshandle_idl::build("idl/sparkle.idl");
/// ```
///
/// and where the interfaces belong:
///
/// ```ignore
/// include!(concat!(env!("OUT_DIR"), "/sparkle.rs"));
/// ```
///
/// It runs again when the file changes, or another file beside it. If something is wrong with the
/// file, it says so as `syshandle idl check` does and ends the build with exit code 1. [`Build`]
/// has more to set.
pub fn build(path: impl AsRef<Path>) {
    Build::new(path).run();
}

/// [`build`] with what can be set:
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
    /// Of this file.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), options: Options::default() }
    }

    /// Looks for imported files in this directory too.
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

    /// Makes Rust of this interface or class, by its name in the file, with all that it uses; and
    /// of the others named so. Without it, of all.
    #[must_use]
    pub fn only(mut self, name: impl Into<String>) -> Self {
        self.options.only.push(name.into());
        self
    }

    /// Makes a number with constants of this enum, by its name in the file: its constants can be
    /// combined, and the file doesn't say `flag_enum`.
    #[must_use]
    pub fn flags(mut self, name: impl Into<String>) -> Self {
        self.options.flags.push(name.into());
        self
    }

    /// Declares an interface private to syshandle, by its name in the file: its callers and servers
    /// are programs of this crate and never use the header that MIDL makes of the file. A COM layout
    /// that differs from the file's is not reported then.
    #[must_use]
    pub fn private(mut self, name: impl Into<String>) -> Self {
        self.options.private.push(name.into());
        self
    }

    /// Writes the file, or says what is wrong and ends the build.
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

/// Tells cargo something.
#[expect(clippy::print_stdout, reason = "how a build script talks to cargo")]
fn tell(what: &str) {
    println!("cargo::{what}");
}
