//! Limits the size of the code that every user compiles before anything else.

use std::fs;
use std::path::Path;

/// Maximum number of lines of `syshandle-model`, on which the macros depend. The reader of `.idl`
/// files, which is much larger, stays in a crate of its own.
const MODEL_LINES_MAX: usize = 2_000;

#[test]
fn the_model_of_the_macros_stays_small() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/model/src");
    let count = lines(&source);
    assert!(count > 0, "{} has no Rust", source.display());
    assert!(count <= MODEL_LINES_MAX, "{count} lines, limit {MODEL_LINES_MAX}");
}

/// Returns the number of lines of all Rust files in a folder and its subfolders.
fn lines(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| entry.path())
        .map(|path| match path.extension() {
            _ if path.is_dir() => lines(&path),
            Some(extension) if extension == "rs" => {
                fs::read_to_string(&path).expect("a file in UTF-8").lines().count()
            }
            _ => 0,
        })
        .sum()
}
