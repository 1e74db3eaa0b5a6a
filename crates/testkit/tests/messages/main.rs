//! Messages of errors. Each test provokes a group of errors as a user would, and compares their
//! messages with `messages/GROUP.txt`. With `UPDATE_EXPECTED=1`, it rewrites these files instead.
//! If a machine can't provoke an error, the expected message remains.
//!
//! `docs/guide/troubleshooting.md` must have an entry for each message.
#![cfg(not(windows))]
#![expect(clippy::print_stdout, reason = "prints why a step was skipped")]
#![expect(clippy::unwrap_used, reason = "a failed assumption in a test is a failed test")]

mod activation;
mod calls;
mod connections;
mod guide;
mod handles;

use std::error::Error as StdError;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A text that a program chose, which the guide need not explain.
const OWN_TEXT: &str = "a text of the program";

/// The messages of a group of errors.
struct Messages {
    group: &'static str,
    /// Texts that differ between machines and runs, each with its replacement. Longer texts come
    /// first.
    replacements: Vec<(String, &'static str)>,
    /// The situations, each with its message.
    messages: Vec<(&'static str, String)>,
}

impl Messages {
    fn new(group: &'static str) -> Self {
        Self { group, replacements: Vec::new(), messages: Vec::new() }
    }

    /// Replaces a path in the messages that are added later.
    fn replace(&mut self, path: &Path, name: &'static str) {
        self.replacements.insert(0, (path.to_str().unwrap().to_owned(), name));
    }

    /// Adds the message of an error that the runtime returned.
    fn add(&mut self, situation: &'static str, error: &syshandle::Error) {
        self.push(situation, &describe(error));
    }

    /// Adds the message of an I/O error that a method of a handle type returned.
    fn add_io(&mut self, situation: &'static str, error: &std::io::Error) {
        self.push(situation, &format!("display: {error}\n"));
    }

    fn push(&mut self, situation: &'static str, text: &str) {
        let mut text = text.to_owned();
        for (from, to) in &self.replacements {
            text = text.replace(from, to);
        }
        text = replace_number(&text, "process ", "$PID");
        text = replace_number(&text, "user ", "$UID");
        text = replace_hash(&text);
        text = replace_age(&text);
        self.messages.push((situation, text));
    }

    /// Compares all messages with the expected ones.
    fn check(self) {
        let path = folder().join(format!("{}.txt", self.group));
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        let expected = parse(&expected);
        let mut written = String::new();
        let mut wrong = String::new();
        for (situation, text) in &expected {
            if !self.messages.iter().any(|(name, _)| name == situation) {
                println!("not provoked here: {situation}");
                write!(written, "## {situation}\n{text}\n").unwrap();
            }
        }
        for (situation, text) in &self.messages {
            write!(written, "## {situation}\n{text}\n").unwrap();
            match expected.iter().find(|(name, _)| name == situation) {
                Some((_, expected)) if expected == text => {}
                Some((_, expected)) => {
                    write!(wrong, "## {situation}\nexpected:\n{expected}got:\n{text}\n").unwrap();
                }
                None => write!(wrong, "## {situation}\nis new:\n{text}\n").unwrap(),
            }
        }
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(path, written.trim_end().to_owned() + "\n").unwrap();
        } else {
            assert!(wrong.is_empty(), "{wrong}");
        }
    }
}

/// Formats an error with its causes.
fn describe(error: &syshandle::Error) -> String {
    let mut text = format!("display: {error}\n");
    let mut cause = StdError::source(error);
    while let Some(error) = cause {
        writeln!(text, "cause: {error}").unwrap();
        cause = error.source();
    }
    writeln!(text, "debug: {}", format!("{error:?}").replace('\n', "\n       ")).unwrap();
    text
}

/// Parses a file of expected messages. Returns each situation with its text.
fn parse(text: &str) -> Vec<(String, String)> {
    text.split("## ")
        .skip(1)
        .map(|section| {
            let (situation, text) = section.split_once('\n').unwrap();
            (situation.to_owned(), text.trim_end().to_owned() + "\n")
        })
        .collect()
}

/// Returns the folder with the expected messages.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages")
}

/// Replaces the number after each `word` by `name`.
fn replace_number(text: &str, word: &str, name: &str) -> String {
    let mut parts = text.split(word);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let name = if rest.len() < part.len() { name } else { "" };
        write!(out, "{word}{name}{rest}").unwrap();
    }
    out
}

/// Replaces the hash in file names of the runtime folder.
fn replace_hash(text: &str) -> String {
    let is_hash = |word: &str| word.len() == 16 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let mut out = String::new();
    for (index, part) in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()).enumerate() {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        match index > 0 && is_hash(word) {
            true => write!(out, "$HASH{}", &part[word.len()..]).unwrap(),
            false => out.push_str(part),
        }
    }
    out
}

/// Replaces the age of a failure note.
fn replace_age(text: &str) -> String {
    let Some((before, after)) = text.split_once(" ms ago") else { return text.to_owned() };
    let before = before.trim_end_matches(|c: char| c.is_ascii_digit());
    format!("{before}$AGE ms ago{}", replace_age(after))
}
