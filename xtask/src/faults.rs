//! `cargo xtask faults`: runs the stress tests that take too long for `cargo test`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

const HELP: &str = "\
cargo xtask faults            hostile clients, failures, signals, load and inputs: long, about half an hour
cargo xtask faults --short    the same in a few minutes; CI runs these forms in `cargo test`
";

/// The parts of the command. Each has a name, a package, and its test targets.
const PARTS: [(&str, &str, &[&str]); 6] = [
    ("hostile clients", "syshandle-cli", &["attack"]),
    ("hostile servers", "syshandle-adversary", &["servers"]),
    ("failures at every system call", "syshandle-fault-injection", &["faults", "descriptors"]),
    ("stops, signals and forks", "syshandle-fault-injection", &["signals"]),
    ("load", "syshandle-fault-injection", &["load"]),
    ("inputs", "syshandle-fault-injection", &["mutations"]),
];

pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let short = match arguments {
        [] => false,
        [short] if short == "--short" => true,
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let mut failed = Vec::new();
    // The short form uses the same profile as `cargo test`, so that nothing is rebuilt.
    let profile = if short { "dev" } else { "release" };
    for package in ["syshandle-cli", "sparkle", "syshandle-testkit", "syshandle-fault-injection"] {
        let build = [
            "build",
            "--quiet",
            "--profile",
            profile,
            "--package",
            package,
            "--bins",
            "--examples",
        ];
        if !cargo(&build, short) {
            return ExitCode::FAILURE;
        }
    }
    for (name, package, tests) in PARTS {
        println!("\n== {name}");
        let start = Instant::now();
        let mut command = vec!["test", "--quiet", "--profile", profile, "--package", package];
        command.extend(tests.iter().flat_map(|test| ["--test", test]));
        command.extend(["--", "--nocapture", "--test-threads=1"]);
        let passed = cargo(&command, short);
        let (result, time) = (if passed { "passed" } else { "FAILED" }, start.elapsed());
        println!("== {name}: {result} after {} s", time.as_secs());
        if !passed {
            failed.push(name);
        }
    }
    let time = Duration::from_secs(began.elapsed().as_secs());
    match failed.as_slice() {
        [] => {
            println!("\nall passed, in {time:?}");
            ExitCode::SUCCESS
        }
        failed => {
            println!("\nfailed: {}, in {time:?}", failed.join(", "));
            ExitCode::FAILURE
        }
    }
}

/// Runs Cargo and returns whether it succeeded.
fn cargo(arguments: &[&str], short: bool) -> bool {
    let (form, seconds) = if short { ("short", "5") } else { ("full", "120") };
    crate::cargo::succeeds(
        crate::cargo::cargo()
            .args(arguments)
            .env("SYSHANDLE_TEST_FORM", form)
            .env("MUTATION_SECONDS", seconds),
    )
}
