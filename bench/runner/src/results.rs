//! What came out, as it is kept.

use std::collections::BTreeMap;
use std::path::Path;

use bench_harness::{Placement, Report, Result, Work};
use serde::{Deserialize, Serialize};

use crate::contenders::floor_of;
use crate::linear::Expected;
use crate::options::Options;
use crate::plan::Task;
use crate::{machine, noise, versions};

/// What came out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: String,
    /// The load before the run: what else the machine did.
    pub(crate) load: f64,
    pub(crate) rounds: usize,
    pub(crate) turn_ms: u64,
    pub(crate) rows: Vec<Row>,
    /// Who was left out, and why.
    pub(crate) left_out: BTreeMap<String, String>,
    /// Who can't do what, and why.
    #[serde(default)]
    pub(crate) cannot: Vec<Cannot>,
    /// Which version of each peer it was.
    #[serde(default)]
    pub(crate) versions: BTreeMap<String, String>,
    /// What each layer costs, and each probe, in nanoseconds.
    pub(crate) ladder: Vec<Rung>,
    pub(crate) probes: Vec<Rung>,
    /// How time and memory grow.
    pub(crate) growth: Vec<Curve>,
}

/// Work that a contender can't do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cannot {
    pub(crate) work: String,
    pub(crate) contender: String,
    pub(crate) why: String,
}

/// One contender at one work in one place, round by round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) placement: String,
    pub(crate) contender: String,
    pub(crate) rounds: Vec<Round>,
}

/// One turn.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Round {
    /// Its number: the same for all who took their turn in it.
    pub(crate) round: usize,
    pub(crate) calls_per_second: f64,
    pub(crate) median_ns: f64,
    pub(crate) p99_ns: f64,
    pub(crate) cpu_ns: f64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) memory: Option<f64>,
}

/// One rung of a ladder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rung {
    pub(crate) name: String,
    pub(crate) ns: f64,
    /// By which part of it it may be off.
    #[serde(default)]
    pub(crate) noise: f64,
}

/// How something grows with something else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Curve {
    /// What grows: clients, handles, …
    pub(crate) with: String,
    /// What is measured, with its unit.
    pub(crate) what: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// How it may grow.
    #[serde(default)]
    pub(crate) expected: Expected,
}

impl Results {
    pub(crate) fn of_this_machine(options: &Options) -> Self {
        Self {
            machine: machine::description(),
            load: machine::load(),
            rounds: options.rounds,
            turn_ms: options.ms,
            versions: versions::all(),
            ..Self::default()
        }
    }

    pub(crate) fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        // A line for each row and curve: to be kept, and to be looked at where two differ.
        let mut text = serde_json::to_string(self)?;
        for first in ["{\"work\"", "{\"with\"", "{\"name\""] {
            text = text.replace(first, &format!("\n{first}"));
        }
        Ok(std::fs::write(path, text + "\n")?)
    }

    pub(crate) fn leave_out(&mut self, contender: &str, why: &str) {
        eprintln!("\n*** {contender} is left out: {why} ***");
        self.left_out.insert(contender.into(), why.into());
    }

    /// Notes that a contender can't do this, where anybody would ask why.
    pub(crate) fn note_cannot(&mut self, task: &Task, contender: &str, why: &str) {
        let cannot = Cannot {
            work: task.work.to_string(),
            contender: contender.into(),
            why: why.to_owned(),
        };
        if !why.is_empty() && !self.cannot.contains(&cannot) {
            self.cannot.push(cannot);
        }
    }

    pub(crate) fn add(&mut self, task: &Task, contender: &str, round: usize, report: &Report) {
        if report.calls == 0 {
            // A turn that was too short for a single call tells nothing.
            return;
        }
        let round = Round {
            round,
            // More digits than these are of no use to anybody.
            calls_per_second: (report.calls as f64 / report.seconds.max(1e-9)).round(),
            median_ns: report.median_ns.round(),
            p99_ns: report.p99_ns.round(),
            cpu_ns: report.cpu_ns.round(),
            memory: report.memory.map(f64::round),
        };
        match self.row_mut(task, contender) {
            Some(row) => row.rounds.push(round),
            None => self.rows.push(Row {
                work: task.work.to_string(),
                placement: task.placement.to_string(),
                contender: contender.into(),
                rounds: vec![round],
            }),
        }
    }

    fn row_mut(&mut self, task: &Task, contender: &str) -> Option<&mut Row> {
        let (work, placement) = (task.work.to_string(), task.placement.to_string());
        let is = |row: &&mut Row| {
            row.work == work && row.placement == placement && row.contender == contender
        };
        self.rows.iter_mut().find(is)
    }

    /// The row of a contender at this work in this place.
    pub(crate) fn row(&self, work: &str, placement: &str, contender: &str) -> Option<&Row> {
        let is = |row: &&Row| {
            row.work == work && row.placement == placement && row.contender == contender
        };
        self.rows.iter().find(is)
    }

    /// The floor of a row.
    pub(crate) fn floor(&self, row: &Row) -> Option<&Row> {
        let work: Work = row.work.parse().ok()?;
        let placement: Placement = row.placement.parse().ok()?;
        self.row(&row.work, &row.placement, floor_of(work, placement))
    }

    /// The work that there are rows of, in order.
    pub(crate) fn tasks(&self) -> Vec<(&str, &str)> {
        let mut tasks: Vec<_> =
            self.rows.iter().map(|row| (row.work.as_str(), row.placement.as_str())).collect();
        tasks.dedup();
        tasks
    }
}

impl Row {
    /// Whether more is better: calls a second, of work for several at once.
    pub(crate) fn is_rate(&self) -> bool {
        matches!(self.work.parse(), Ok(Work::Clients(_) | Work::Pipelined(_)))
    }

    /// The median over the rounds of a number of each.
    pub(crate) fn median(&self, number: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(number).collect())
    }

    /// What the row is about: nanoseconds of a call, or calls a second.
    pub(crate) fn value(&self) -> f64 {
        match self.is_rate() {
            true => self.median(|round| round.calls_per_second),
            false => self.median(|round| round.median_ns),
        }
    }

    /// The ratio to the floor: the median of those of each round, for what hits one hits both.
    pub(crate) fn ratio(&self, floor: &Self) -> f64 {
        median(noise::ratios(self, floor))
    }
}

/// The median; not a number when there are none.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => numbers[len / 2],
        len => (numbers[len / 2 - 1] + numbers[len / 2]) / 2.0,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row of rounds that took this long.
    pub(crate) fn row(work: &str, placement: &str, contender: &str, ns: &[f64]) -> Row {
        let round = |(round, ns): (usize, &f64)| Round {
            round,
            calls_per_second: 1e9 / ns,
            median_ns: *ns,
            p99_ns: *ns * 2.0,
            cpu_ns: *ns,
            memory: None,
        };
        Row {
            work: work.into(),
            placement: placement.into(),
            contender: contender.into(),
            rounds: ns.iter().enumerate().map(round).collect(),
        }
    }

    /// Results of these rows.
    pub(crate) fn results(rows: Vec<Row>) -> Results {
        Results { machine: "a machine".into(), rows, ..Results::default() }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let file = std::env::temp_dir().join(format!("bench-results-{}.json", std::process::id()));
        let mut saved = results(vec![row("w1", "same", "syshandle", &[1.0, 2.0])]);
        saved.versions.insert("zbus".into(), "1.2.3".into());
        saved.growth.push(Curve {
            with: "things".into(),
            what: "µs".into(),
            points: vec![(1.0, 2.5)],
            expected: Expected::Flat,
        });
        saved.save(&file).unwrap();
        let loaded = Results::load(&file).unwrap();
        std::fs::remove_file(file).unwrap();
        assert_eq!(format!("{loaded:?}"), format!("{saved:?}"));
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
        assert!(median(vec![]).is_nan());
    }

    #[test]
    fn a_ratio_is_that_of_the_same_rounds() {
        // The second round was slow for both, and the floor has one more.
        let ours = row("w1", "same", "x", &[10.0, 40.0]);
        let floor = row("w1", "same", "y", &[5.0, 20.0, 5.0]);
        assert_eq!(ours.ratio(&floor), 2.0);
    }
}
