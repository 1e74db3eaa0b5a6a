//! Compares the compiler's messages for wrong code: each `mistakes/NAME.rs` is compiled, and its
//! messages must equal `mistakes/NAME.stderr`. `UPDATE_EXPECTED=1 cargo test -p syshandle --test
//! mistakes` rewrites the `.stderr` files.
//!
//! Mistakes within a trait are tested in the crate that parses traits, because no compiler is needed
//! there.

mod rustc;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_mistake_is_reported_at_its_token_with_a_remedy() {
    let update = env::var_os("UPDATE_EXPECTED").is_some();
    let entries = Path::new("tests/mistakes").read_dir().expect("this test's files");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    assert!(files.len() >= 4);
    let mut wrong = Vec::new();
    for file in files {
        let said = compile(&file);
        let expected = file.with_extension("stderr");
        if update {
            fs::write(&expected, &said).expect("written");
        } else if fs::read_to_string(&expected).unwrap_or_default() != said {
            wrong.push(format!("--- {}\n{said}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
}

/// Compiles a file that contains mistakes. Returns the compiler's messages without its summary.
fn compile(file: &Path) -> String {
    let output = tempfile::tempdir().expect("a folder");
    let said = rustc::compile(file, "bin", output.path(), &["syshandle"]);
    plain(&said.expect_err("a file with mistakes doesn't compile"))
}

/// Removes paths of this machine and the count of errors from the compiler's messages. Also removes
/// notes about places within constant functions, because they contain line numbers of the standard
/// library, the line numbers in files of this library, and repeated messages. A client or a server's
/// trait that only exists with a feature repeats messages and changes their order, so they are sorted
/// by their place.
fn plain(text: &str) -> String {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a workspace");
    let text = text.replace(&workspace.display().to_string(), "$WORKSPACE");
    let text =
        text.replace("run_async`", "run`").replace("run_with_error_async`", "run_with_error`");
    let is_kept = |line: &&str| {
        !line.starts_with("error: aborting due to")
            && !line.starts_with("For more information about")
            && !line.starts_with("Some errors have detailed explanations")
            && !is_count(line)
    };
    let mut is_in_note = false;
    let is_outside = |line: &&str| {
        is_in_note = !line.is_empty() && (is_in_note || line.starts_with("note: inside `"));
        !is_in_note
    };
    let kept: Vec<&str> = text.lines().filter(is_kept).filter(is_outside).collect();
    let kept: Vec<&str> = kept.into_iter().map(without_line).collect();
    let kept = kept.join("\n");
    let mut messages: Vec<&str> = Vec::new();
    for message in kept.trim_end().split("\n\n") {
        if !messages.contains(&message) {
            messages.push(message);
        }
    }
    messages.sort_by_key(|message| (place(message), *message));
    messages.join("\n\n") + "\n"
}

/// Returns the line and the column of a message.
fn place(message: &str) -> Option<(u32, u32)> {
    let place = message.lines().find_map(|line| line.trim_start().strip_prefix("--> tests/"))?;
    let mut numbers = place.split(':').skip(1);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Returns whether a line counts the types that the message before it doesn't list. The number
/// depends on the features.
fn is_count(line: &str) -> bool {
    line.trim_start().starts_with("and ") && line.ends_with(" others")
}

/// Removes the line and the column from the place of a message in a file of this library.
fn without_line(text: &str) -> &str {
    match text.split_once(".rs:") {
        Some((path, _)) if path.trim_start().starts_with("--> crates/") => &text[..path.len() + 3],
        _ => text,
    }
}
