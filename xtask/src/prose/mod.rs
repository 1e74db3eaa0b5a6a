//! `cargo xtask prose`: counts habits that make English hard to read, in comments, documents,
//! strings that users see, and test names.
//!
//! In each crate and document, at most 3 % of the texts of each form, or two texts if that is more,
//! may have such a habit. Well-written projects stay below 1.5 %.

mod blocks;
mod habits;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use blocks::{Block, has_enough_words};
use habits::{PRONOUN, habits};

use crate::workspace::root;

const HELP: &str = "\
cargo xtask prose                checks each crate and each document
cargo xtask prose --list PATH…   lists the marked texts of files or folders
";

/// Maximum percentage of texts with a habit.
const PERCENT_MAX: usize = 3;

/// Number of texts with a habit that is always permitted, regardless of the percentage.
const COUNT_MIN: usize = 2;

/// The forms of text. Each form is counted separately, so that one can't hide another.
const FORMS: [&str; 3] = ["comments", "strings", "test names"];

pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let done = match arguments.split_first() {
        None => check(),
        Some((list, paths)) if list == "--list" && !paths.is_empty() => list_texts(paths),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("prose: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Checks each crate and document. Returns whether all are within the limits.
fn check() -> io::Result<bool> {
    let root = root();
    let (mut all_texts, mut all_marked, mut passed) = (0, 0, true);
    for area in areas(&root)? {
        let mut counts = [(0, 0); FORMS.len()];
        for path in files(&root.join(&area))? {
            for (count, texts) in counts.iter_mut().zip(texts_of(&path)?) {
                count.0 += texts.len();
                count.1 += texts.iter().filter(|text| !text.habits.is_empty()).count();
            }
        }
        for (form, (texts, marked)) in FORMS.iter().zip(counts) {
            all_texts += texts;
            all_marked += marked;
            if !is_within_limit(texts, marked) {
                println!(
                    "{area}: {marked} of {texts} {form} are marked, at most {PERCENT_MAX} % may be: \
                     `cargo xtask prose --list {area}` lists them"
                );
                passed = false;
            }
        }
    }
    println!("prose: {all_marked} of {all_texts} texts are marked");
    Ok(passed)
}

fn is_within_limit(texts: usize, marked: usize) -> bool {
    marked <= COUNT_MIN || marked * 100 <= texts * PERCENT_MAX
}

/// Lists the texts with habits in files and folders. Returns whether there are none.
fn list_texts(paths: &[String]) -> io::Result<bool> {
    let mut count = 0;
    for path in paths {
        for file in files(Path::new(path))? {
            for Text { block, habits } in texts_of(&file)?.into_iter().flatten() {
                if !habits.is_empty() {
                    count += 1;
                    let start: String = block.text.chars().take(200).collect();
                    println!("{}:{}: [{}] {start}", file.display(), block.line, habits.join(", "));
                }
            }
        }
    }
    println!("{count} marked texts");
    Ok(count == 0)
}

/// Returns the crates and documents to check.
fn areas(root: &Path) -> io::Result<Vec<String>> {
    let mut areas: Vec<String> = ["xtask", "fuzz", "bench"].map(str::to_owned).into();
    for folder in ["crates", "samples", "docs", "."] {
        for entry in fs::read_dir(root.join(folder))? {
            let path = entry?.path();
            let is_document = path.extension().is_some_and(|extension| extension == "md");
            let is_crate = folder != "." && path.join("Cargo.toml").is_file();
            if !is_document && !is_crate {
                continue;
            }
            if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                let area = if folder == "." { name.into() } else { format!("{folder}/{name}") };
                areas.push(area);
            }
        }
    }
    areas.sort();
    Ok(areas)
}

/// Returns the Rust and Markdown files in a folder. If the path is a file, returns the path.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_text = path.extension().is_some_and(|end| end == "rs" || end == "md");
        if path.is_dir() && !path.is_symlink() {
            if !["target", ".git", "corpus", "results"].contains(&name) {
                all.extend(files(&path)?);
            }
        } else if is_text {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

/// A text with the names of the habits found in it.
struct Text {
    block: Block,
    habits: Vec<&'static str>,
}

/// Returns the texts of a file that are long enough to be checked, grouped in the order of
/// [`FORMS`].
fn texts_of(path: &Path) -> io::Result<[Vec<Text>; FORMS.len()]> {
    let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
    if path.extension().is_some_and(|extension| extension == "md") {
        return Ok([judge(blocks::paragraphs(&text), has_enough_words), Vec::new(), Vec::new()]);
    }
    let comments = judge(blocks::comments(&text), has_enough_words);
    // Some test inputs are deliberately invalid Rust.
    let code = blocks::code(&text).unwrap_or_default();
    let is_of_tests = path.iter().any(|folder| folder == "tests");
    let mut strings = judge(code.strings, |string| !is_of_tests && has_enough_words(string));
    for string in &mut strings {
        string.habits.retain(|habit| *habit != PRONOUN);
    }
    Ok([comments, strings, judge(code.test_names, |_| true)])
}

fn judge(blocks: Vec<Block>, is_long_enough: impl Fn(&Block) -> bool) -> Vec<Text> {
    let long = blocks.into_iter().filter(is_long_enough);
    long.map(|block| Text { habits: habits(&block.text), block }).collect()
}

#[cfg(test)]
mod tests {
    use super::is_within_limit;

    #[test]
    fn three_percent_or_two_texts_may_be_marked() {
        assert!(is_within_limit(10, 2) && !is_within_limit(10, 3));
        assert!(is_within_limit(100, 3) && !is_within_limit(100, 4));
    }
}
