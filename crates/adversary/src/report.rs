//! The results of an attack as a table.

use std::fmt;
use std::io;

use syshandle_types::Printable;

use crate::{Act, Census, Scenario, Times};

/// The results of an attack.
#[derive(Debug)]
pub struct Report {
    /// The honest client's durations without an attack.
    pub idle: Times,
    /// The server's resources before the attack.
    pub before: Census,
    /// The server's resources after the attack.
    pub after: Census,
    /// One row for each scenario.
    pub rows: Vec<Row>,
    /// The limit for [`Report::slower`].
    pub slower_max: f64,
}

/// The results of one scenario.
#[derive(Debug)]
pub struct Row {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// The attempts and the server's answers.
    pub acts: Vec<Act>,
    /// The durations of the honest client's calls during the scenario.
    pub times: Times,
    /// Number of descriptors that the server has kept.
    pub leaked: usize,
    /// The server's resources after the scenario; `None` if the server has ended.
    pub after: Option<Census>,
}

impl Report {
    /// Whether the server withstood every scenario.
    pub fn held(&self) -> bool {
        self.rows.iter().all(|row| row.held(self)) && self.memory_held()
    }

    /// Whether the server's memory is the same as before, except for memory that an allocator
    /// keeps.
    pub fn memory_held(&self) -> bool {
        self.after.memory_kib <= self.before.memory_kib + MEMORY_KEPT_KIB
    }

    /// The median duration of an honest call during a scenario, as a multiple of the median without
    /// an attack.
    pub fn slower(&self, row: &Row) -> f64 {
        row.times.median().as_secs_f64() / self.idle.median().as_secs_f64().max(1e-9)
    }
}

impl Row {
    /// The row of a scenario during which the honest client wasn't served or the server ended.
    pub(crate) fn failed(scenario: &'static Scenario, error: &io::Error) -> Self {
        let act = Act {
            tried: "an honest client meanwhile".into(),
            answer: Printable(error).to_string(),
            right: false,
        };
        Self { scenario, acts: vec![act], times: Times::default(), leaked: 0, after: None }
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
        writeln!(f, "{:<13} {:<width$}  {:<7} answer", "scenario", "tried", "verdict")?;
        for row in &self.rows {
            for act in &row.acts {
                let Act { tried, answer, right } = act;
                let verdict = if *right { "right" } else { "WRONG" };
                writeln!(f, "{:<13} {tried:<width$}  {verdict:<7} {answer}", row.scenario.name)?;
            }
        }
        let idle = self.idle.median();
        writeln!(
            f,
            "\nAn honest client during the attack; without an attack its median is {idle:?}.\n"
        )?;
        writeln!(
            f,
            "{:<13} {:>8} {:>8} {:>11} {:>11} {:>11} {:>6}  verdict",
            "scenario", "calls", "median", "p99", "worst", "new client", "leaked"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:<13} {:>8} {:>7.1}x {:>11} {:>11} {:>11} {:>6}  {}",
                row.scenario.name,
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

/// Memory that the server may keep: allocator caches of ended threads, and tables that have grown.
const MEMORY_KEPT_KIB: u64 = 32 * 1024;
