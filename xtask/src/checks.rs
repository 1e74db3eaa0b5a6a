//! `cargo xtask sanitize` and `cargo xtask miri`: the same tests, under what sees more than they do.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

const SANITIZE: &str = "\
cargo xtask sanitize [address|leak]...    both unless one is named

Runs the tests of the crates at the bottom, where the `unsafe` is. On x86-64
Linux, with the toolchain's own runtimes; what isn't stable of the compiler is asked for by
RUSTC_BOOTSTRAP=1.
";

/// The thread sanitizer isn't one of them: with a standard library that isn't built for it, it takes
/// what a `Condvar` guards, and the last drop of an `Arc`, for races.
const SANITIZERS: [&str; 2] = ["address", "leak"];

/// Where the `unsafe` is, and what decodes.
const PACKAGES: [&str; 2] = ["syshandle-os", "syshandle-wire"];

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Runs the tests under each sanitizer.
pub(crate) fn sanitize(arguments: &[String]) -> ExitCode {
    let wrong = |name: &&String| !SANITIZERS.contains(&name.as_str());
    if arguments.iter().any(|name| wrong(&name)) {
        eprint!("{SANITIZE}");
        return ExitCode::from(2);
    }
    let is_asked = |name: &str| arguments.is_empty() || arguments.iter().any(|asked| asked == name);
    let mut failed = Vec::new();
    for sanitizer in SANITIZERS.into_iter().filter(|name| is_asked(name)) {
        match run_time(sanitizer) {
            Some(library) if library.exists() => {
                println!("\n== {sanitizer}");
                if !tests_under(sanitizer) {
                    failed.push(sanitizer);
                }
            }
            _ => println!("\n== {sanitizer}: skipped: this toolchain has no runtime for it"),
        }
    }
    match failed.as_slice() {
        [] => ExitCode::SUCCESS,
        failed => {
            println!("\nfailed: {}", failed.join(", "));
            ExitCode::FAILURE
        }
    }
}

/// The library that a sanitized program is linked with.
fn run_time(sanitizer: &str) -> Option<PathBuf> {
    let output = rustc().args(["--target", TARGET, "--print", "target-libdir"]).output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    let short = sanitizer.get(..1)?;
    Some(PathBuf::from(folder.trim()).join(format!("librustc-stable_rt.{short}san.a")))
}

fn tests_under(sanitizer: &str) -> bool {
    let mut cargo = cargo();
    cargo.args(["test", "--no-fail-fast", "--target", TARGET, "--lib", "--tests"]);
    cargo.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    // With `--target`, build scripts and macros are built as always.
    cargo
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", format!("-Zsanitizer={sanitizer} -Cunsafe-allow-abi-mismatch=sanitizer"));
    succeeds(&mut cargo)
}

const MIRI: &str = "\
cargo xtask miri    the tests of the crates without I/O in Miri, which sees undefined behaviour
";

/// The crates without I/O, and so without system calls that Miri doesn't know.
const MIRI_PACKAGES: [&str; 3] = ["syshandle-wire", "syshandle-idl", "syshandle-com"];

/// Runs the tests of the crates without I/O in Miri, where it is installed.
pub(crate) fn miri(arguments: &[String]) -> ExitCode {
    if !arguments.is_empty() {
        eprint!("{MIRI}");
        return ExitCode::from(2);
    }
    let mut version = Command::new("cargo");
    version.args(["+nightly", "miri", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !version.status().is_ok_and(|status| status.success()) {
        println!(
            "miri: skipped: it isn't installed (rustup component add --toolchain nightly miri)"
        );
        return ExitCode::SUCCESS;
    }
    let mut test = Command::new("cargo");
    // Those of xtask's own toolchain would win over `+nightly`.
    test.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    test.args(["+nightly", "miri", "test", "--lib"]);
    test.args(MIRI_PACKAGES.iter().flat_map(|package| ["--package", package]));
    match succeeds(&mut test) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn rustc() -> Command {
    Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

fn succeeds(command: &mut Command) -> bool {
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("{command:?} can't be run: {error}");
            false
        }
    }
}
