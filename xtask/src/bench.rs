//! `cargo xtask bench`: builds and runs the benchmark, which is a separate workspace.

use std::process::ExitCode;

use crate::cargo::{cargo, exit_code};
use crate::workspace::root;

/// Runs the benchmark with these arguments (see `cargo xtask bench --help`).
pub(crate) fn run(args: &[String]) -> ExitCode {
    exit_code(
        cargo()
            .args(["run", "--release", "--quiet", "--package", "bench-runner", "--manifest-path"])
            .arg(root().join("bench/Cargo.toml"))
            .arg("--")
            .args(args),
    )
}
