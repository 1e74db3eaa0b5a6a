//! `cargo xtask sanitize`, `cargo xtask miri` and related commands: run tests with tools that
//! detect more errors.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use crate::cargo::{cargo, exit_code, succeeds};
use crate::workspace::root;

const SANITIZE: &str = "\
cargo xtask sanitize [address|leak|thread]... [--short]    all, unless one is named

Runs tests under sanitizers: the tests of the crates with `unsafe`, and the runtime's own. With --short,
only the runtime's. On x86-64 Linux, with the toolchain's own runtimes; unstable options of the
compiler are enabled by RUSTC_BOOTSTRAP=1. `thread` needs a compiler with the source of the standard
library: Debian's rustc-web and rust-web-src.
";

/// A sanitizer of the compiler.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sanitizer {
    Address,
    Leak,
    Thread,
}

impl Sanitizer {
    const ALL: [Self; 3] = [Self::Address, Self::Leak, Self::Thread];

    fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Leak => "leak",
            Self::Thread => "thread",
        }
    }

    /// Returns the path of the sanitizer's runtime library.
    fn run_time(self) -> Result<PathBuf, String> {
        let output = Command::new(rustc())
            .args(["--target", TARGET, "--print", "target-libdir"])
            .output()
            .map_err(|error| format!("rustc can't be run: {error}"))?;
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let short = &self.name()[..1];
        let library = PathBuf::from(folder).join(format!("librustc-stable_rt.{short}san.a"));
        if library.exists() {
            Ok(library)
        } else {
            Err("this toolchain has no runtime for it".to_owned())
        }
    }

    /// Configures `cargo test` for this sanitizer.
    ///
    /// # Errors
    /// Returns the reason why the sanitizer can't be used on this machine.
    fn prepare(self, cargo: &mut Command) -> Result<(), String> {
        let library = self.run_time()?;
        let mut flags = format!("-Zsanitizer={}", self.name());
        if self == Self::Thread {
            // Without an instrumented standard library, the sanitizer would report every `Condvar`
            // and the last drop of every `Arc`. The compiler that comes with the standard library's
            // source has no sanitizer runtime, so the runtime of this toolchain is used.
            let rustc = source_rustc()?;
            flags += " -Zexternal-clangrt -Clink-arg=-Wl,--whole-archive";
            flags += &format!(" -Clink-arg={}", library.display());
            flags += " -Clink-arg=-Wl,--no-whole-archive";
            // The runtime library refers to versioned glibc symbols, which GNU ld doesn't resolve.
            let linker = library.with_file_name("../bin/gcc-ld");
            flags += &format!(" -Clink-arg=-fuse-ld=lld -Clink-arg=-B{}", linker.display());
            cargo.args(["-Zbuild-std=std,panic_unwind", "--target-dir", "target/thread"]);
            cargo.env("RUSTC", rustc).env("CARGO_INCREMENTAL", "0");
            let suppressions = root().join("ci/thread-suppressions");
            cargo.env("TSAN_OPTIONS", format!("suppressions={}", suppressions.display()));
        } else {
            flags += " -Cunsafe-allow-abi-mismatch=sanitizer";
        }
        // With `--target`, the flags don't apply to build scripts and procedural macros.
        cargo.args(["--target", TARGET]).env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", flags);
        Ok(())
    }
}

/// Returns a compiler whose standard library can be built from source: the one from Debian.
fn source_rustc() -> Result<&'static str, String> {
    let rustc = "/usr/bin/rustc";
    let output = Command::new(rustc).args(["--print", "sysroot"]).output();
    let root = output.map_err(|_| format!("there is no {rustc} (package rustc-web)"))?.stdout;
    let root = PathBuf::from(String::from_utf8_lossy(&root).trim());
    if root.join("lib/rustlib/src/rust/library/std").exists() {
        Ok(rustc)
    } else {
        Err("the standard library's source isn't installed (package rust-web-src)".to_owned())
    }
}

/// The tests of a crate that run with sanitizers.
struct Suite {
    package: &'static str,
    targets: &'static [&'static str],
    /// The names of tests to skip.
    skipped: &'static [&'static str],
}

/// The tests of the crate `syshandle`. Skips tests that explore interleavings, because sanitizers
/// don't support the way they switch stacks. Skips the model of activation, because it uses neither
/// `unsafe` code nor threads. The other skipped tests repeat calls or waits and would take minutes.
const RUNTIME: Suite = Suite {
    package: "syshandle",
    targets: &["--lib", "--test", "behaviour"],
    skipped: &[
        // This test leaks the payload of a panic on purpose, because dropping the payload could
        // panic again.
        "the_guard_stops_a_panic_with_any_payload",
        "interleavings",
        "activation::linux::tests",
        "a_hundred_thousand_calls",
        "ten_thousand_jobs",
    ],
};

/// The tests that run with the thread sanitizer. They start no server process, because the
/// sanitizer's runtime doesn't support `clone` with shared memory, which this crate uses to start
/// programs.
const THREADS: Suite = Suite {
    package: "syshandle",
    targets: &["--lib", "--features", "tokio", "--test", "tokio", "--test", "unions"],
    skipped: RUNTIME.skipped,
};

/// The crates that contain `unsafe` code, and the decoder of messages.
const BOTTOM: [Suite; 3] = [
    Suite { package: "syshandle-os", targets: &["--lib", "--tests"], skipped: &[] },
    Suite { package: "syshandle-types", targets: &["--lib", "--tests"], skipped: &[] },
    Suite { package: "syshandle-wire", targets: &["--lib", "--tests"], skipped: &[] },
];

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Runs the tests with each sanitizer.
pub(crate) fn sanitize(arguments: &[String]) -> ExitCode {
    let is_short = arguments.iter().any(|argument| argument == "--short");
    let names: Vec<_> = arguments.iter().filter(|argument| *argument != "--short").collect();
    let is_known = |name: &&String| Sanitizer::ALL.iter().any(|one| one.name() == *name);
    if !names.iter().all(is_known) {
        eprint!("{SANITIZE}");
        return ExitCode::from(2);
    }
    let mut failed = Vec::new();
    for sanitizer in Sanitizer::ALL {
        let name = sanitizer.name();
        if !names.is_empty() && !names.iter().any(|asked| *asked == name) {
            continue;
        }
        let (bottom, runtime): (&[Suite], _) = match sanitizer {
            Sanitizer::Thread => (&[], &THREADS),
            _ if is_short => (&[], &RUNTIME),
            _ => (&BOTTOM, &RUNTIME),
        };
        for suite in bottom.iter().chain([runtime]) {
            println!("\n== {name}: {}", suite.package);
            match tests_under(sanitizer, suite) {
                Ok(true) => {}
                Ok(false) => failed.push(format!("{name}: {}", suite.package)),
                Err(why_not) => println!("== {name}: skipped: {why_not}"),
            }
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\nfailed: {}", failed.join(", "));
    ExitCode::FAILURE
}

/// Runs the tests of a suite with a sanitizer. Returns whether they passed.
///
/// # Errors
/// Returns the reason why the sanitizer can't be used on this machine.
fn tests_under(sanitizer: Sanitizer, suite: &Suite) -> Result<bool, String> {
    let mut cargo = cargo();
    cargo.args(["test", "--no-fail-fast", "--package", suite.package]).args(suite.targets);
    sanitizer.prepare(&mut cargo)?;
    cargo.arg("--").args(suite.skipped.iter().flat_map(|test| ["--skip", test]));
    Ok(succeeds(&mut cargo))
}

/// Measures how long calls exceed their deadlines.
pub(crate) fn deadlines() -> ExitCode {
    run_example("syshandle", "deadlines")
}

/// Measures the latency of a call that does nothing while 180 methods of other clients block. Fails
/// if the 99th percentile exceeds 2 ms.
pub(crate) fn blocked() -> ExitCode {
    run_example("syshandle-testkit", "blocked-methods")
}

fn run_example(package: &str, name: &str) -> ExitCode {
    exit_code(cargo().args(["run", "--release", "--package", package, "--example", name]))
}

const MIRI: &str = "\
cargo xtask miri    the tests of the crates without I/O in Miri, which sees undefined behaviour
";

/// The crates without I/O. Miri does not support most system calls.
const MIRI_PACKAGES: [&str; 5] =
    ["syshandle-types", "syshandle-wire", "syshandle-model", "syshandle-idl", "syshandle-com"];

/// Runs the tests of the crates without I/O with Miri, if Miri is installed.
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
    // These variables, which the toolchain of xtask sets, would override `+nightly`.
    test.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    test.args(["+nightly", "miri", "test", "--lib"]);
    test.args(MIRI_PACKAGES.iter().flat_map(|package| ["--package", package]));
    exit_code(&mut test)
}

fn rustc() -> OsString {
    env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}
