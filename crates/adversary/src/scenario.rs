//! One way to break the rules, and its results.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use syshandle_types::{Guid, Printable};
use syshandle_wire::{FrameKind, Header, Hello};

use crate::line::{Answer, Line, PATIENCE};
use crate::scenarios;

/// One way to break the rules.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// The name, a single word.
    pub name: &'static str,
    /// A short description.
    pub what: &'static str,
    /// Whether the scenario is for a client that the server accepts. Otherwise it is for a client
    /// that the server refuses.
    pub accepted: bool,
    pub(crate) run: fn(&Target, &mut Vec<Act>) -> io::Result<()>,
}

/// The server that a scenario attacks.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server's socket.
    pub address: PathBuf,
    /// A class that the server serves.
    pub clsid: Guid,
    /// An interface of that class.
    pub iid: Guid,
}

/// An attempt, and the server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// A description of the attempt.
    pub tried: String,
    /// The server's answers, each with a count if there is more than one.
    pub answer: String,
    /// Whether the answer is correct.
    pub right: bool,
}

impl Scenario {
    /// All scenarios, in the order in which they run.
    pub fn all() -> &'static [Self] {
        scenarios::ALL
    }

    /// The scenario with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|scenario| scenario.name == name)
    }

    /// Runs the scenario in this process.
    ///
    /// # Errors
    /// Returns an error if the server ends the scenario early, which is also a failure.
    pub fn run(&self, target: &Target) -> io::Result<Vec<Act>> {
        syshandle_os::raise_descriptor_limit();
        let mut acts = Vec::new();
        (self.run)(target, &mut acts)?;
        Ok(acts)
    }
}

impl Target {
    /// Opens a connection and receives the greeting.
    pub(crate) fn greeted(&self) -> io::Result<Line> {
        Line::greeted(&self.address)
    }

    /// Opens a connection, receives the greeting and sends the hello.
    pub(crate) fn open(&self) -> io::Result<Line> {
        Line::open(&self.address, self.clsid, self.iid)
    }

    /// Connects as an honest client does. The server must serve it without a retry.
    pub(crate) fn open_at_once(&self) -> io::Result<Line> {
        let line = Line::connect(&self.address)?;
        match line.answer(PATIENCE) {
            Answer::Greeting(..) => {}
            other => return Err(io::Error::other(format!("the server doesn't greet: {other}"))),
        }
        let hello = Hello { clsid: self.clsid, iid: self.iid };
        line.frame(&Header::new(FrameKind::Hello), &hello.write(), &[])?;
        Ok(line)
    }
}

impl Act {
    /// Encodes the act as one line of text for [`Act::parse`].
    pub fn write(&self) -> String {
        let right = if self.right { "right" } else { "wrong" };
        format!("{right}\t{}\t{}", Printable(&self.tried), Printable(&self.answer))
    }

    /// Parses the output of [`Act::write`].
    pub fn parse(line: &str) -> Option<Self> {
        let (right, rest) = line.split_once('\t')?;
        let (tried, answer) = rest.split_once('\t')?;
        let right = match right {
            "right" => true,
            "wrong" => false,
            _ => return None,
        };
        Some(Self { tried: tried.into(), answer: answer.into(), right })
    }
}

/// Counts the answers to an attempt that is repeated.
#[derive(Debug)]
pub(crate) struct Tally {
    tried: String,
    answers: BTreeMap<String, u32>,
    right: bool,
}

impl Tally {
    pub(crate) fn new(tried: impl Into<String>) -> Self {
        Self { tried: tried.into(), answers: BTreeMap::new(), right: true }
    }

    /// Counts an answer.
    pub(crate) fn add(&mut self, answer: &Answer, right: bool) {
        self.add_text(answer.to_string(), right);
    }

    /// Counts a result that is described in words.
    pub(crate) fn add_text(&mut self, answer: impl Into<String>, right: bool) {
        *self.answers.entry(answer.into()).or_default() += 1;
        self.right &= right;
    }

    /// Waits for the end of the connection. Any other answer is a failure.
    pub(crate) fn cut_off(&mut self, line: &Line) {
        let ending = line.ending();
        let right = matches!(ending, Answer::CutOff | Answer::Refused(_));
        self.add(&ending, right);
    }

    /// Returns the attempt with all of its answers.
    pub(crate) fn act(self) -> Act {
        let answer: Vec<_> = self
            .answers
            .iter()
            .map(|(answer, count)| match count {
                1 => answer.clone(),
                count => format!("{answer} ({count} times)"),
            })
            .collect();
        Act { tried: self.tried, answer: answer.join("; "), right: self.right }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_is_read_as_it_was_written() {
        let act = Act { tried: "a\tb".into(), answer: "cut off".into(), right: true };
        let read = Act::parse(&act.write()).expect("a line of our own");
        assert_eq!(read, Act { tried: r"a\tb".into(), ..act });
        assert_eq!(Act::parse("what\tever\tthis"), None);
    }

    #[test]
    fn each_play_has_a_name_of_its_own() {
        let mut names: Vec<_> = Scenario::all().iter().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Scenario::all().len());
    }
}
