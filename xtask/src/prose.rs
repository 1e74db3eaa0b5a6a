//! `cargo xtask prose`: counts habits that make English hard to read, in comments and documents.
//!
//! `ci/prose-baseline` contains the number of marked blocks for each crate and document. A number
//! may only decrease: new text must have none of these habits, and old text loses them when it is
//! edited.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask prose                compares with ci/prose-baseline
cargo xtask prose --accept       the same, and writes the numbers that went down
cargo xtask prose --list PATH…   lists the marked blocks of files or folders
";

/// A run of comment lines, or a paragraph or list item in Markdown.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    line: usize,
    text: String,
}

/// The habits with their phrases. A word of a phrase may have alternatives.
const HABITS: [(&str, &[&str]); 8] = [
    (
        "headless relative",
        &[
            "whoever",
            "whatever",
            "who has|is|knows|waits|calls|holds|looks|starts|sends",
            "to|by|of who",
        ],
    ),
    ("possessive relative", &["of one's|ours|theirs"]),
    ("so much", &["so many|long|much", "that much", "for so"]),
    ("at the most", &["at the most|least"]),
    ("filler", &["all the same", "besides", "mostly", "meanwhile"]),
    ("that of", &["that of", "those of|that|who"]),
    ("somebody", &["somebody|nobody|anybody|everybody"]),
    ("where for if", &["where there|it|that|none|one|a|the|they"]),
];

/// Minimum number of words. Shorter blocks can't be judged.
const WORDS_MIN: usize = 6;

pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let done = match arguments.split_first() {
        None => check(false),
        Some((accept, [])) if accept == "--accept" => check(true),
        Some((list, paths)) if list == "--list" && !paths.is_empty() => list_blocks(paths),
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

/// Compares the number of each area with the baseline. Returns whether none has increased.
fn check(accept: bool) -> io::Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let file = root.join("ci/prose-baseline");
    let text = fs::read_to_string(&file).unwrap_or_default();
    let old = parse_baseline(&text);
    let mut new = BTreeMap::new();
    let (mut all_blocks, mut held) = (0, true);
    for area in areas(&root)? {
        let (mut count, mut blocks) = (0, 0);
        for path in files(&root.join(&area))? {
            for block in blocks_of(&path)? {
                blocks += 1;
                count += usize::from(!habits(&block.text).is_empty());
            }
        }
        all_blocks += blocks;
        match old.get(&area) {
            Some(&before) if count > before => {
                println!(
                    "{area}: {count} marked blocks, and {before} before: \
                     `cargo xtask prose --list {area}` lists them"
                );
                held = false;
            }
            Some(&before) if count < before => {
                println!("{area}: {count} marked blocks, and {before} before");
            }
            Some(_) => {}
            // A new area may have as many marked blocks as good texts usually have.
            None if count * 100 > blocks * NEW_PERCENT_MAX => {
                println!(
                    "{area}: {count} of {blocks} blocks are marked: at most {NEW_PERCENT_MAX} % in a new area"
                );
                held &= text.is_empty();
            }
            None => {}
        }
        let least = old.get(&area).map_or(count, |&before| before.min(count));
        new.insert(area, least);
    }
    let marked: usize = new.values().sum();
    println!("prose: {marked} of {all_blocks} blocks are marked at most");
    if accept {
        fs::write(file, write_baseline(&new))?;
    } else if held && new.iter().any(|(area, count)| old.get(area).is_none_or(|old| count < old)) {
        println!("prose: `cargo xtask prose --accept` writes the lower numbers");
    }
    Ok(held)
}

/// Lists the marked blocks of files and folders. Returns whether there are none.
fn list_blocks(paths: &[String]) -> io::Result<bool> {
    let mut count = 0;
    for file in paths.iter().map(|path| files(Path::new(path))).collect::<io::Result<Vec<_>>>()? {
        for path in file {
            for block in blocks_of(&path)? {
                let found = habits(&block.text);
                if !found.is_empty() {
                    count += 1;
                    let text: String = block.text.chars().take(200).collect();
                    println!("{}:{}: [{}] {text}", path.display(), block.line, found.join(", "));
                }
            }
        }
    }
    println!("{count} marked blocks");
    Ok(count == 0)
}

/// Returns the crates and documents that have a number of their own.
fn areas(root: &Path) -> io::Result<Vec<String>> {
    let mut areas: Vec<String> = ["xtask", "fuzz", "bench"].map(str::to_owned).into();
    for folder in ["crates", "samples", "docs", "."] {
        for entry in fs::read_dir(root.join(folder))? {
            let path = entry?.path();
            let is_document = path.extension().is_some_and(|extension| extension == "md");
            let is_crate = folder != "." && path.join("Cargo.toml").is_file();
            if (is_document || is_crate)
                && let Some(name) = path.file_name().and_then(|name| name.to_str())
            {
                let area = if folder == "." { name.into() } else { format!("{folder}/{name}") };
                areas.push(area);
            }
        }
    }
    areas.sort();
    Ok(areas)
}

/// Returns the Rust and Markdown files of a folder, or the file itself.
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

/// Returns the blocks of a file that are long enough to be judged.
fn blocks_of(path: &Path) -> io::Result<Vec<Block>> {
    let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
    let is_markdown = path.extension().is_some_and(|extension| extension == "md");
    let mut blocks = if is_markdown { markdown_blocks(&text) } else { comment_blocks(&text) };
    blocks.retain(|block| block.text.split_whitespace().count() >= WORDS_MIN);
    Ok(blocks)
}

fn comment_blocks(text: &str) -> Vec<Block> {
    let comment = |line: &str| {
        let rest = line.trim_start().strip_prefix("//")?;
        let rest = rest.strip_prefix(['/', '!']).unwrap_or(rest);
        (!rest.starts_with('/') && !rest.trim().is_empty()).then(|| rest.trim().to_owned())
    };
    collect(text.lines().map(|line| match comment(line) {
        Some(text) => Line::Text(text),
        None => Line::Gap,
    }))
}

fn markdown_blocks(text: &str) -> Vec<Block> {
    let mut fenced = false;
    collect(text.lines().map(|line| {
        if line.starts_with("```") {
            fenced = !fenced;
            return Line::Gap;
        }
        let text = line.trim();
        if fenced || text.is_empty() || text.starts_with('#') {
            return Line::Gap;
        }
        let number = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_item = ["- ", "* ", "| "].iter().any(|start| text.starts_with(start))
            || (number.len() < text.len() && number.starts_with(". "));
        if is_item { Line::Start(text.into()) } else { Line::Text(text.into()) }
    }))
}

/// The role of a line in the blocks.
enum Line {
    /// Continues the block.
    Text(String),
    /// Starts a block.
    Start(String),
    /// Ends the block.
    Gap,
}

fn collect(lines: impl Iterator<Item = Line>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (index, line) in lines.enumerate() {
        let (text, starts) = match line {
            Line::Gap => {
                open = false;
                continue;
            }
            Line::Start(text) => (text, true),
            Line::Text(text) => (text, !open),
        };
        if starts {
            blocks.push(Block { line: index + 1, text });
        } else if let Some(block) = blocks.last_mut() {
            block.text.push(' ');
            block.text.push_str(&text);
        }
        open = true;
    }
    blocks
}

/// Returns the names of the habits in a text.
fn habits(text: &str) -> Vec<&'static str> {
    let lower = text.to_lowercase();
    let is_word = |c: char| c.is_alphanumeric() || c == '\'' || c == '_';
    let words: Vec<&str> = lower.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
    let has = |phrase: &&str| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words.windows(phrase.len()).any(|window| {
            window
                .iter()
                .zip(&phrase)
                .all(|(word, one_of)| one_of.split('|').any(|one| one == *word))
        })
    };
    let phrases = HABITS.iter().filter(|(_, phrases)| phrases.iter().any(has));
    let mut found: Vec<_> = phrases.map(|(name, _)| *name).collect();
    let mut sentences = lower.split_inclusive(['.', ':', ';', '?']).map(str::trim);
    if sentences.any(|sentence| sentence.starts_with("what ") && !sentence.ends_with('?')) {
        found.push("headless what");
    }
    if lower.starts_with("the same ") {
        found.push("the same");
    }
    found
}

fn parse_baseline(text: &str) -> BTreeMap<String, usize> {
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.filter_map(|line| line.split_once(' '))
        .filter_map(|(area, count)| Some((area.to_owned(), count.trim().parse().ok()?)))
        .collect()
}

fn write_baseline(counts: &BTreeMap<String, usize>) -> String {
    let head =
        "# Marked blocks of comments and documents: `cargo xtask prose`. Numbers only go down.\n";
    counts.iter().fold(head.to_owned(), |text, (area, count)| text + &format!("{area} {count}\n"))
}

/// Maximum percentage of marked blocks in a new crate or document.
const NEW_PERCENT_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_habit_is_found_and_plain_text_has_none() {
        for (text, habit) in [
            ("whoever calls this", "headless relative"),
            ("a thread who waits for it", "headless relative"),
            ("the class of ours", "possessive relative"),
            ("it takes so long", "so much"),
            ("ten at the most", "at the most"),
            ("Mostly it works", "filler"),
            ("larger than that of a frame", "that of"),
            ("Nobody waits", "somebody"),
            ("where there is room", "where for if"),
            ("One thing: what goes on here", "headless what"),
            ("The same of another call", "the same"),
        ] {
            assert_eq!(habits(text), [habit], "{text}");
        }
        for text in ["Sends a frame without a body.", "What is it? A frame.", "of the same frame"] {
            assert!(habits(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn blocks_are_runs_of_comments_and_items_of_lists() {
        let rust =
            "//! One\n//! two\n\nfn x() {} // no block\n    /// three\n//// ruler\n// four\n";
        let blocks: Vec<_> = comment_blocks(rust).into_iter().map(|block| block.text).collect();
        assert_eq!(blocks, ["One two", "three", "four"]);
        let markdown =
            "# Title\n\none\ntwo\n- three\n- four\n  five\n1. six\n```\ncode\n```\nseven\n";
        let blocks = markdown_blocks(markdown);
        let texts: Vec<_> = blocks.iter().map(|block| block.text.as_str()).collect();
        assert_eq!(texts, ["one two", "- three", "- four five", "1. six", "seven"]);
        assert_eq!(blocks[0].line, 3);
    }

    #[test]
    fn a_baseline_is_read_as_it_was_written() {
        let counts = BTreeMap::from([("README.md".to_owned(), 3), ("crates/os".to_owned(), 0)]);
        assert_eq!(parse_baseline(&write_baseline(&counts)), counts);
    }
}
