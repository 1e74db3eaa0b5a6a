//! Builds the selected contenders.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use bench_harness::Result;

use crate::contenders::Entry;
use crate::interrupt;
use crate::results::Results;

/// Builds the packages of these contenders together, and returns the contenders that could be
/// built. For each that couldn't, the reason is recorded.
pub(crate) fn build(
    entries: &[&'static Entry],
    results: &mut Results,
) -> Result<Vec<&'static Entry>> {
    let mut packages: Vec<_> = entries.iter().map(|entry| entry.package).collect();
    packages.dedup();
    if cargo(&packages)? {
        return Ok(entries.to_vec());
    }
    let mut built = Vec::new();
    for package in packages {
        interrupt::check()?;
        let right = cargo(&[package])?;
        for entry in entries.iter().filter(|entry| entry.package == package) {
            match right {
                true => built.push(*entry),
                false => results.leave_out(entry.name, "it can't be built here"),
            }
        }
    }
    Ok(built)
}

/// Returns the path of a contender's program, which is in the same folder as this one.
pub(crate) fn program(entry: &Entry) -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(entry.package))
}

/// Builds a contender for counting instructions, and returns the path of its program. With the cfg
/// `syshandle_untimed`, the server considers no method slow.
///
/// # Errors
/// The contender can't be built.
pub(crate) fn build_untimed(entry: &Entry) -> Result<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/untimed");
    let mut command = command(&[entry.package]);
    command.arg("--target-dir").arg(&folder).env("RUSTFLAGS", "--cfg syshandle_untimed");
    match command.status()?.success() {
        true => Ok(folder.join("release").join(entry.package)),
        false => Err(format!("{} can't be built", entry.package).into()),
    }
}

fn cargo(packages: &[&str]) -> Result<bool> {
    Ok(command(packages).status()?.success())
}

/// Returns the command that builds packages of the benchmark.
fn command(packages: &[&str]) -> Command {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--quiet", "--manifest-path"]).arg(manifest);
    for package in packages {
        command.args(["--package", package]);
    }
    command.stdin(Stdio::null());
    command
}
