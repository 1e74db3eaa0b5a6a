//! Compiles single files against the library that Cargo built for this test. A Cargo project of
//! their own would build all dependencies again, which takes minutes.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Compiles a file to metadata in the folder `output`, with these crates in its scope: `syshandle`,
/// or crates that were compiled to `output` before. Returns the compiler's messages if it fails.
pub(crate) fn compile(
    file: &Path,
    crate_type: &str,
    output: &Path,
    crates: &[&str],
) -> Result<(), String> {
    let libraries = libraries();
    let mut last = String::new();
    for library in &libraries {
        let folder = library.parent().expect("a folder");
        let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc
            .args(["--edition=2024", "--emit=metadata", "--color=never"])
            .args(["--crate-type", crate_type])
            .arg("--out-dir")
            .arg(output)
            .arg("-L")
            .arg(joined("dependency=", folder))
            .arg("-L")
            .arg(joined("dependency=", output));
        for name in crates {
            let path = match *name {
                "syshandle" => library.clone(),
                other => output.join(format!("lib{other}.rmeta")),
            };
            rustc.arg("--extern").arg(joined(&format!("{name}="), &path));
        }
        // The expected messages contain paths with slashes, on Windows as well.
        let result = rustc.arg(file.display().to_string().replace('\\', "/")).output();
        let result = result.expect("rustc runs");
        if result.status.success() {
            return Ok(());
        }
        last = String::from_utf8(result.stderr).expect("UTF-8");
        // The library is stale: it is from an earlier build, and its dependencies were rebuilt
        // since then.
        let is_stale = ["E0460", "E0463", "E0514"].iter().any(|code| last.contains(code));
        if !is_stale {
            return Err(last);
        }
    }
    panic!("no library of {} fits:\n{last}", libraries.len());
}

fn joined(prefix: &str, path: &Path) -> OsString {
    let mut joined = OsString::from(prefix);
    joined.push(path);
    joined
}

/// Returns the built libraries in the folder of this test's program, the newest first. Cargo keeps
/// one library for each set of features.
fn libraries() -> Vec<PathBuf> {
    let program = env::current_exe().expect("this program's path");
    let folder = program.parent().expect("a folder");
    let mut found: Vec<(SystemTime, PathBuf)> = folder
        .read_dir()
        .expect("a folder")
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libsyshandle-") && name.ends_with(".rlib")
        })
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no library in {}", folder.display());
    found.into_iter().rev().map(|(_, path)| path).collect()
}
