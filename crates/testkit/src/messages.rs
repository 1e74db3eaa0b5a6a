//! Golden files of error messages. Each group of messages has one file, `GROUP.txt`. With
//! `UPDATE_EXPECTED=1`, a test rewrites its file instead of comparing it. If a machine can't provoke
//! an error, the expected message remains.

use std::error::Error as StdError;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The messages of a group of errors.
#[derive(Debug)]
pub struct Messages {
    /// The file with the expected messages.
    file: PathBuf,
    /// Texts that differ between machines and runs, each with its replacement. Longer texts come
    /// first.
    replacements: Vec<(String, &'static str)>,
    /// The situations, each with its message.
    messages: Vec<(&'static str, String)>,
}

impl Messages {
    /// Creates a group without messages, whose expected messages are in `file`.
    pub fn new(file: PathBuf) -> Self {
        Self { file, replacements: Vec::new(), messages: Vec::new() }
    }

    /// Replaces a path in the messages that are added later.
    pub fn replace(&mut self, path: &Path, name: &'static str) {
        self.replacements.insert(0, (path.to_str().unwrap().to_owned(), name));
    }

    /// Adds the message of an error that the runtime returned.
    pub fn add(&mut self, situation: &'static str, error: &syshandle::Error) {
        self.push(situation, &describe(error));
    }

    /// Adds the message of an I/O error that a method of a handle type returned.
    pub fn add_io(&mut self, situation: &'static str, error: &std::io::Error) {
        self.push(situation, &format!("display: {error}\n"));
    }

    /// Adds the text of an error.
    pub fn push(&mut self, situation: &'static str, text: &str) {
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
    ///
    /// # Panics
    /// Panics if a message differs from the expected one or is new.
    pub fn check(self) {
        let expected = std::fs::read_to_string(&self.file).unwrap_or_default();
        let expected = parse_messages(&expected);
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
            std::fs::write(self.file, written.trim_end().to_owned() + "\n").unwrap();
        } else {
            assert!(wrong.is_empty(), "{wrong}");
        }
    }
}

/// Formats an error with its causes.
pub fn describe(error: &syshandle::Error) -> String {
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
pub fn parse_messages(text: &str) -> Vec<(String, String)> {
    text.split("## ")
        .skip(1)
        .map(|section| {
            let (situation, text) = section.split_once('\n').unwrap();
            (situation.to_owned(), text.trim_end().to_owned() + "\n")
        })
        .collect()
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
