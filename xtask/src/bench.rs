//! `cargo xtask bench`: builds the benchmark's runner, in its own workspace, and runs it.

use std::path::Path;
use std::process::{Command, ExitCode};

/// Runs the benchmark with its own arguments (`cargo xtask bench --help`).
pub(crate) fn run(args: &[String]) -> ExitCode {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["run", "--release", "--quiet", "--package", "bench-runner", "--manifest-path"])
        .arg(manifest)
        .arg("--")
        .args(args)
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo can't be run: {error}");
            ExitCode::FAILURE
        }
    }
}
