//! One way to misbehave, and what came of it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use syshandle_wire::{FrameKind, Guid, Header, Hello, Printable};

use crate::line::{Answer, Line, PATIENCE};
use crate::plays;

/// One way to misbehave.
#[derive(Clone, Copy, Debug)]
pub struct Play {
    /// Its name, a word.
    pub name: &'static str,
    /// A short description.
    pub what: &'static str,
    /// Whether it is for a client that the server serves, or for one whom it turns away.
    pub accepted: bool,
    pub(crate) run: fn(&Target, &mut Vec<Act>) -> io::Result<()>,
}

/// Whom it is played against.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server's socket.
    pub address: PathBuf,
    /// A class that it serves.
    pub clsid: Guid,
    /// An interface of that class.
    pub iid: Guid,
}

/// Something that was tried, and how the server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// What was tried.
    pub tried: String,
    /// The server's answers, each with a count if it is not one.
    pub answer: String,
    /// Whether that is right.
    pub right: bool,
}

impl Play {
    /// All plays, in the order in which they are played.
    pub fn all() -> &'static [Self] {
        plays::ALL
    }

    /// The play of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|play| play.name == name)
    }

    /// Plays it, in this process.
    ///
    /// # Errors
    /// The server did something that ends the play early: that is wrong too.
    pub fn run(&self, target: &Target) -> io::Result<Vec<Act>> {
        syshandle_os::raise_descriptor_limit();
        let mut acts = Vec::new();
        (self.run)(target, &mut acts)?;
        Ok(acts)
    }
}

impl Target {
    /// A connection that is greeted.
    pub(crate) fn greeted(&self) -> io::Result<Line> {
        Line::greeted(&self.address)
    }

    /// A connection that has said hello.
    pub(crate) fn open(&self) -> io::Result<Line> {
        Line::open(&self.address, self.clsid, self.iid)
    }

    /// Connects as an honest client, which the server must serve at once.
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
    /// One line of text, from which [`Act::parse`] makes it again.
    pub fn write(&self) -> String {
        let right = if self.right { "right" } else { "wrong" };
        format!("{right}\t{}\t{}", Printable(&self.tried), Printable(&self.answer))
    }

    /// What [`Act::write`] wrote.
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

/// The answers to one thing that was tried more than once.
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

    /// Counts what happened, in words.
    pub(crate) fn add_text(&mut self, answer: impl Into<String>, right: bool) {
        *self.answers.entry(answer.into()).or_default() += 1;
        self.right &= right;
    }

    /// The connection must end.
    pub(crate) fn cut_off(&mut self, line: &Line) {
        let ending = line.ending();
        let right = matches!(ending, Answer::CutOff | Answer::Refused(_));
        self.add(&ending, right);
    }

    /// Returns the attempts with all answers.
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
        let mut names: Vec<_> = Play::all().iter().map(|play| play.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Play::all().len());
    }
}
