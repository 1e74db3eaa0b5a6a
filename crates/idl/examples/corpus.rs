//! Checks all `.idl` files under some directories and prints how many there are and how long it
//! takes; with `--rust`, how much Rust comes of them as well:
//! `cargo run --release -p syshandle-idl --example corpus -- [--rust] [-I DIR]… [DIR|FILE]…`.
//!
//! Without arguments, those of Wine's development package.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use syshandle_idl::{Lowered, Options, check, describe};

/// Where `libwine-dev` puts its files.
const DEFAULT: &str = "/usr/include/wine";

#[expect(clippy::print_stdout, reason = "this program's purpose")]
fn main() -> ExitCode {
    let mut options = Options::default();
    let mut files = Vec::new();
    let mut makes_rust = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--rust" {
            makes_rust = true;
            continue;
        }
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
    if makes_rust {
        lower(&files, &options);
    }
    if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Makes Rust of each file by itself, and says how much of it there is.
#[expect(clippy::print_stdout, reason = "this program's purpose")]
fn lower(files: &[PathBuf], options: &Options) {
    let start = Instant::now();
    let (mut whole, mut in_part, mut interfaces, mut methods, mut refused) = (0, 0, 0, 0, 0);
    for file in files {
        let Lowered { description, report } = describe(std::slice::from_ref(file), options);
        if report.is_success() {
            whole += 1;
        } else {
            in_part += usize::from(!description.interfaces.is_empty());
        }
        refused += report.statistics().errors;
        interfaces += description.interfaces.len();
        methods += description.interfaces.iter().map(|of| of.methods.len()).sum::<usize>();
    }
    println!(
        "Rust of {whole} files whole and of {in_part} in part: {interfaces} interfaces, {methods} \
         methods; {refused} refusals; {:.2?}",
        start.elapsed(),
    );
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
