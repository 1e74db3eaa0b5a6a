//! Compares the report for each `diagnostics/*.idl` file with the `.stderr` file of the same name.
//!
//! `UPDATE_EXPECTED=1` rewrites the `.stderr` files.

use std::fs;
use std::path::{Path, PathBuf};

use syshandle_idl::{Options, check};

#[test]
fn each_file_matches_its_expected_report() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut wrong = Vec::new();
    for input in inputs() {
        let said = check(std::slice::from_ref(&input), &Options::default()).to_string();
        let expected = input.with_extension("stderr");
        if update {
            fs::write(&expected, &said).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != said {
            wrong.push(format!("--- {}\n{said}", input.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
}

#[test]
fn only_files_with_errors_fail() {
    for input in inputs() {
        let report = check(std::slice::from_ref(&input), &Options::default());
        let has_error = report.to_string().lines().any(|line| line.starts_with("error"));
        assert_eq!(report.is_success(), !has_error, "{}", input.display());
    }
}

/// Returns the input files. The paths are relative to the crate's directory, in which tests run, so
/// that messages are the same on every machine.
fn inputs() -> Vec<PathBuf> {
    let entries = Path::new("tests/diagnostics").read_dir().expect("this test's files");
    let mut inputs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    inputs.retain(|path| path.extension().is_some_and(|extension| extension == "idl"));
    inputs.sort();
    assert!(inputs.len() > 10);
    inputs
}
