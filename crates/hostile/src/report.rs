//! The results of an attack as a table.

use std::fmt;
use std::io;

use syshandle_wire::Printable;

use crate::{Act, Census, Play, Times};

/// What an attack showed.
#[derive(Debug)]
pub struct Report {
    /// The honest client's time without an attack.
    pub idle: Times,
    /// The server before.
    pub before: Census,
    /// The server afterwards.
    pub after: Census,
    /// Each play.
    pub rows: Vec<Row>,
    /// How many times as long an honest call may take, at its median.
    pub slower_max: f64,
}

/// What one play showed.
#[derive(Debug)]
pub struct Row {
    /// Which.
    pub play: &'static Play,
    /// The attempts and the answers.
    pub acts: Vec<Act>,
    /// The times of the honest client's calls during the play.
    pub times: Times,
    /// Descriptors that the server has more than before.
    pub leaked: usize,
    /// The server after it; `None` when it was gone.
    pub after: Option<Census>,
}

impl Report {
    /// Whether the server held.
    pub fn held(&self) -> bool {
        self.rows.iter().all(|row| row.held(self)) && self.memory_held()
    }

    /// Whether the server has the memory that it began with, but for what an allocator keeps.
    pub fn memory_held(&self) -> bool {
        self.after.memory_kib <= self.before.memory_kib + MEMORY_KEPT_KIB
    }

    /// How many times as long an honest call took during a play, at its median.
    pub fn slower(&self, row: &Row) -> f64 {
        row.times.median().as_secs_f64() / self.idle.median().as_secs_f64().max(1e-9)
    }
}

impl Row {
    /// A play during which the honest client wasn't served, or the server ended.
    pub(crate) fn failed(play: &'static Play, error: &io::Error) -> Self {
        let act = Act {
            tried: "an honest client meanwhile".into(),
            answer: Printable(error).to_string(),
            right: false,
        };
        Self { play, acts: vec![act], times: Times::default(), leaked: 0, after: None }
    }

    fn held(&self, report: &Report) -> bool {
        let answers = !self.acts.is_empty() && self.acts.iter().all(|act| act.right);
        answers && self.leaked == 0 && report.slower(self) <= report.slower_max
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tried = self.rows.iter().flat_map(|row| &row.acts).map(|act| act.tried.chars().count());
        let width = tried.max().unwrap_or(0);
        writeln!(f, "{:<13} {:<width$}  {:<7} answer", "play", "tried", "verdict")?;
        for row in &self.rows {
            for act in &row.acts {
                let Act { tried, answer, right } = act;
                let verdict = if *right { "right" } else { "WRONG" };
                writeln!(f, "{:<13} {tried:<width$}  {verdict:<7} {answer}", row.play.name)?;
            }
        }
        let idle = self.idle.median();
        writeln!(f, "\nAn honest client meanwhile; without an attack its median is {idle:?}.\n")?;
        writeln!(
            f,
            "{:<13} {:>8} {:>8} {:>11} {:>11} {:>11} {:>6}  verdict",
            "play", "calls", "median", "p99", "worst", "new client", "leaked"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:<13} {:>8} {:>7.1}x {:>11} {:>11} {:>11} {:>6}  {}",
                row.play.name,
                row.times.calls(),
                self.slower(row),
                milliseconds(row.times.p99()),
                milliseconds(row.times.worst()),
                milliseconds(row.times.worst_arrival()),
                row.leaked,
                if row.held(self) { "held" } else { "FAILED" },
            )?;
        }
        let memory = if self.memory_held() { "held" } else { "GREW" };
        writeln!(
            f,
            "\nThe server before: {}\nand afterwards:    {} ({memory})",
            self.before, self.after
        )
    }
}

fn milliseconds(time: std::time::Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

/// Memory that may stay: caches of the allocator for threads that have ended, and grown tables.
const MEMORY_KEPT_KIB: u64 = 32 * 1024;
