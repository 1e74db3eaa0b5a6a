//! Limits the size of the code that every user of syshandle must compile first, and the number of
//! foreign crates that a user's program links.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Maximum number of lines in `syshandle-model`, on which the macros depend. The much larger reader
/// of `.idl` files is therefore a separate crate.
const MODEL_LINES_MAX: usize = 2_200;

/// Maximum number of crates of other projects that a program links with the default features.
const LINKED_CRATES_MAX: usize = 15;

#[test]
fn the_model_of_the_macros_stays_small() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/model/src");
    let count = lines(&source);
    assert!(count > 0, "{} has no Rust", source.display());
    assert!(count <= MODEL_LINES_MAX, "{count} lines, limit {MODEL_LINES_MAX}");
}

#[test]
fn a_program_links_few_foreign_crates() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package", "syshandle", "--prefix", "none"])
        .args(["--edges", "normal,no-proc-macro", "--target", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("Cargo");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).expect("UTF-8");
    // The path of a crate of this repository follows its version.
    let foreign = tree.lines().filter(|line| !line.contains(" (/"));
    let foreign: BTreeSet<_> = foreign.map(|line| line.trim_end_matches(" (*)")).collect();
    assert!(foreign.iter().any(|line| line.starts_with("rustix ")), "{foreign:?}");
    assert!(foreign.len() <= LINKED_CRATES_MAX, "{} crates: {foreign:#?}", foreign.len());
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
