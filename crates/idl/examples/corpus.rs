//! Checks all `.idl` files under some directories and prints how many there are and how long it
//! takes: `cargo run --release -p syshandle-idl --example corpus -- [-I DIR]… [DIR|FILE]…`.
//!
//! Without arguments, those of Wine's development package.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use syshandle_idl::{Options, check};

/// Where `libwine-dev` puts its files.
const DEFAULT: &str = "/usr/include/wine";

#[expect(clippy::print_stdout, reason = "this program's purpose")]
fn main() -> ExitCode {
    let mut options = Options::default();
    let mut files = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix("-I") {
            Some("") => options.search.extend(arguments.next().map(PathBuf::from)),
            Some(directory) => options.search.push(directory.into()),
            None => find(Path::new(&argument), &mut files),
        }
    }
    if files.is_empty() {
        find(Path::new(DEFAULT), &mut files);
    }
    files.sort();

    let start = Instant::now();
    let report = check(&files, &options);
    let elapsed = start.elapsed();
    let statistics = report.statistics();
    print!("{report}");
    println!(
        "{} files ({} with what they import, {} lines), {} interfaces, {} methods",
        statistics.files,
        statistics.files_read,
        statistics.lines,
        statistics.interfaces,
        statistics.methods,
    );
    println!("{} errors, {} warnings, {elapsed:.2?}", statistics.errors, statistics.warnings);
    if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Finds the `.idl` files in a directory and all below it. A file is what it is.
fn find(path: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = path.read_dir() else {
        files.push(path.to_owned());
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_idl =
            path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("idl"));
        if path.is_dir() || is_idl {
            find(&path, files);
        }
    }
}
