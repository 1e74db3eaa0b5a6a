//! `cargo xtask bench`: builds the benchmark's runner, in its own workspace, and runs it.

use std::process::ExitCode;

use crate::cargo::{cargo, exit_code};
use crate::workspace::root;

/// Runs the benchmark with its own arguments (`cargo xtask bench --help`).
pub(crate) fn run(args: &[String]) -> ExitCode {
    exit_code(
        cargo()
            .args(["run", "--release", "--quiet", "--package", "bench-runner", "--manifest-path"])
            .arg(root().join("bench/Cargo.toml"))
            .arg("--")
            .args(args),
    )
}
