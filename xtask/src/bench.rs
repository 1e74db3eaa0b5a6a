//! `cargo xtask bench`: builds the benchmark's runner, in its own workspace, and runs it.

use std::path::Path;
use std::process::ExitCode;

use crate::cargo::{cargo, exit_code};

/// Runs the benchmark with its own arguments (`cargo xtask bench --help`).
pub(crate) fn run(args: &[String]) -> ExitCode {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/Cargo.toml");
    exit_code(
        cargo()
            .args(["run", "--release", "--quiet", "--package", "bench-runner", "--manifest-path"])
            .arg(manifest)
            .arg("--")
            .args(args),
    )
}
