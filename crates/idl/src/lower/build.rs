//! What a `build.rs` calls.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use super::rust;
use crate::front::Options;

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
/// It runs again when the file changes, or another `.idl` file beside it. If something is wrong
/// with the file, it says so as `syshandle idl check` does and ends the build with exit code 1.
pub fn build(path: impl AsRef<Path>) {
    if let Err(message) = write(path.as_ref()) {
        #[expect(clippy::print_stderr, reason = "where cargo looks for a build script's errors")]
        {
            eprintln!("{message}");
        }
        process::exit(1);
    }
}

fn write(path: &Path) -> Result<(), String> {
    let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    for watched in [Some(path), beside].into_iter().flatten() {
        #[expect(clippy::print_stdout, reason = "how a build script talks to cargo")]
        {
            println!("cargo::rerun-if-changed={}", watched.display());
        }
    }
    let text =
        rust(&[path.to_owned()], &Options::default()).map_err(|report| report.to_string())?;
    let directory = std::env::var_os("OUT_DIR")
        .ok_or("OUT_DIR isn't set: `syshandle_idl::build` is for a `build.rs`")?;
    let name = path.with_extension("rs");
    let name = name.file_name().ok_or("the path names no file")?;
    let written = PathBuf::from(directory).join(name);
    fs::write(&written, text)
        .map_err(|error| format!("{} can't be written: {error}", written.display()))
}
