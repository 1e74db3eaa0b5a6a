//! Checks all `.idl` files of Wine's development package (`libwine-dev`), which weren't written for
//! this project.

use std::path::{Path, PathBuf};
use std::time::Instant;

use syshandle_idl::{Options, check};

const DIRECTORY: &str = "/usr/include/wine";

#[test]
fn installed_files_are_valid() {
    let mut files = Vec::new();
    find(Path::new(DIRECTORY), &mut files);
    if files.is_empty() {
        println!("skipped: no .idl files under {DIRECTORY}; the package libwine-dev has them");
        return;
    }
    files.sort();
    let start = Instant::now();
    let report = check(&files, &Options::default());
    let statistics = report.statistics();
    println!(
        "{} files ({} with what they import), {} interfaces, {} methods, {:.2?}",
        statistics.files,
        statistics.files_read,
        statistics.interfaces,
        statistics.methods,
        start.elapsed(),
    );
    let errors = report.to_string();
    let errors: Vec<&str> =
        errors.split("\n\n").filter(|found| found.starts_with("error")).collect();
    assert!(report.is_success(), "{}", errors.join("\n\n"));
    assert_eq!(statistics.files, files.len());
}

/// Finds the `.idl` files in a directory and its subdirectories.
fn find(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in directory.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "idl") {
            files.push(path);
        }
    }
}
