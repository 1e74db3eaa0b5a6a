//! Checks all `.idl` files in the given folders and prints their number and the time taken. With
//! `--rust`, also converts each file to Rust, in a separate process with a time limit: `cargo run
//! --release -p syshandle-idl --example corpus -- [--rust] [-I DIR]… [DIR|FILE]…`.
//!
//! Without a folder or file argument, reads the files of Wine's development package.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use syshandle_idl::{LoweringOutput, Options, check, describe};

/// The directory in which `libwine-dev` installs its files.
const DEFAULT: &str = "/usr/include/wine";

/// Time limit for converting one file to Rust. The slowest known file takes less than a second. The
/// limit detects endless loops in the conversion.
const LIMIT: Duration = Duration::from_secs(60);

/// Poll interval while waiting for a child process.
const POLL: Duration = Duration::from_millis(5);

#[expect(clippy::print_stdout, reason = "this program's purpose")]
fn main() -> ExitCode {
    let mut options = Options::default();
    let mut files = Vec::new();
    let mut makes_rust = false;
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rust" => makes_rust = true,
            "--rust-of" => {
                return rust_of(&arguments.next().map(PathBuf::from).unwrap_or_default(), &options);
            }
            _ => match argument.strip_prefix("-I") {
                Some("") => options.search.extend(arguments.next().map(PathBuf::from)),
                Some(directory) => options.search.push(directory.into()),
                None => find(Path::new(&argument), &mut files),
            },
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
    let ended = !makes_rust || rust_of_all(&files, &options);
    if report.is_success() && ended { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Converts one file to Rust and prints one line of numbers to standard output.
#[expect(clippy::print_stdout, reason = "what the parent process reads")]
fn rust_of(file: &Path, options: &Options) -> ExitCode {
    let lowered = describe(&[file.to_owned()], options);
    let text = lowered.rust();
    let LoweringOutput { description, report, .. } = lowered;
    let methods: usize = description.interfaces.iter().map(|of| of.methods.len()).sum();
    println!(
        "{} {methods} {} {}",
        description.interfaces.len(),
        report.statistics().errors,
        text.len()
    );
    ExitCode::SUCCESS
}

/// Converts each file to Rust in its own process. Returns whether all processes succeeded within
/// the time limit.
#[expect(clippy::print_stdout, reason = "this program's purpose")]
fn rust_of_all(files: &[PathBuf], options: &Options) -> bool {
    let start = Instant::now();
    let (mut whole, mut in_part, mut totals) = (0, 0, [0_usize; 4]);
    let mut slowest = (Duration::ZERO, Path::new(""));
    let mut failed = Vec::new();
    for file in files {
        let start = Instant::now();
        let Some(numbers) = in_time(file, options) else {
            println!("{}: no Rust after {:.0?}", file.display(), start.elapsed());
            failed.push(file);
            continue;
        };
        slowest = slowest.max((start.elapsed(), file));
        let [interfaces, _, errors, _] = numbers;
        whole += usize::from(errors == 0);
        in_part += usize::from(errors > 0 && interfaces > 0);
        totals.iter_mut().zip(numbers).for_each(|(total, number)| *total += number);
    }
    let [interfaces, methods, errors, _] = totals;
    println!(
        "Rust of {whole} files whole and of {in_part} in part: {interfaces} interfaces, {methods} \
         methods; {errors} refusals; {:.2?}",
        start.elapsed(),
    );
    println!("slowest: {} after {:.2?}", slowest.1.display(), slowest.0);
    println!("{} files without an end within {LIMIT:?}, or with a crash", failed.len());
    failed.is_empty()
}

/// Converts a file to Rust in another process. Returns the numbers that the process prints, or
/// `None` if it fails or exceeds the time limit.
fn in_time(file: &Path, options: &Options) -> Option<[usize; 4]> {
    let mut command = Command::new(env::current_exe().ok()?);
    command.args(options.search.iter().flat_map(|of| ["-I".as_ref(), of.as_os_str()]));
    command.arg("--rust-of").arg(file).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().ok()?;
    if !has_ended(&mut child) {
        // Fails if the process has ended in the meantime.
        let _ = child.kill();
        let _ = child.wait();
        return None;
    }
    let output = child.wait_with_output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    let numbers: Vec<usize> =
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().ok().filter(|_| output.status.success())
}

/// Waits for a child process up to the time limit. Returns whether it has ended. Reading the
/// child's output meanwhile isn't necessary, because the output fits into the pipe's buffer.
fn has_ended(child: &mut Child) -> bool {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        match child.try_wait() {
            Ok(None) => thread::sleep(POLL),
            Ok(Some(_)) => return true,
            Err(_) => return false,
        }
    }
    false
}

/// Finds the `.idl` files in a folder and its subfolders. If the path is a file, adds it regardless
/// of its name.
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
