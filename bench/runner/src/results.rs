//! The results in the form in which they are saved.

use std::collections::BTreeMap;
use std::path::Path;

use bench_harness::{Placement, Report, Result, Work};
use serde::{Deserialize, Serialize};

use crate::contenders::floor_of;
use crate::linear::Expected;
use crate::options::Options;
use crate::plan::Task;
use crate::{machine, noise, versions};

/// The results of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: String,
    /// The day of the run, as `2026-01-31`.
    #[serde(default)]
    pub(crate) date: String,
    /// The load average before the run.
    pub(crate) load: f64,
    pub(crate) rounds: usize,
    pub(crate) turn_ms: u64,
    pub(crate) rows: Vec<Row>,
    /// The contenders that were omitted, with the reasons.
    pub(crate) left_out: BTreeMap<String, String>,
    /// The work that contenders can't do, with the reasons.
    #[serde(default)]
    pub(crate) cannot: Vec<Cannot>,
    /// The version of each peer.
    #[serde(default)]
    pub(crate) versions: BTreeMap<String, String>,
    /// The cost of each layer and of each probe, in nanoseconds.
    pub(crate) ladder: Vec<Rung>,
    pub(crate) probes: Vec<Rung>,
    /// The growth curves.
    pub(crate) growth: Vec<Curve>,
}

/// Work that a contender can't do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cannot {
    pub(crate) work: String,
    pub(crate) contender: String,
    pub(crate) why: String,
}

/// The rounds of one contender for one work and placement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) placement: String,
    pub(crate) contender: String,
    pub(crate) rounds: Vec<Round>,
}

/// The result of one turn.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Round {
    /// Number of the round, which is the same for all contenders.
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
    /// Relative uncertainty.
    #[serde(default)]
    pub(crate) noise: f64,
}

/// A curve of a measured number over a count.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Curve {
    /// The counted quantity: clients, handles, …
    pub(crate) with: String,
    /// The measured number with its unit.
    pub(crate) what: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// The expected growth.
    #[serde(default)]
    pub(crate) expected: Expected,
}

impl Results {
    pub(crate) fn of_this_machine(options: &Options) -> Self {
        Self {
            machine: machine::description(),
            date: machine::today(),
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
        // Each row and curve is on its own line, so that differences between saved files are
        // readable.
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

    /// Records that a contender can't do this work, if the reason isn't obvious.
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
            // The turn was too short for a single call.
            return;
        }
        let round = Round {
            round,
            // More digits would exceed the accuracy of the measurement.
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

    /// Returns the row of a contender for this work and placement.
    pub(crate) fn row(&self, work: &str, placement: &str, contender: &str) -> Option<&Row> {
        let is = |row: &&Row| {
            row.work == work && row.placement == placement && row.contender == contender
        };
        self.rows.iter().find(is)
    }

    /// Returns the row of the floor to which a row is compared.
    pub(crate) fn floor(&self, row: &Row) -> Option<&Row> {
        let work: Work = row.work.parse().ok()?;
        let placement: Placement = row.placement.parse().ok()?;
        self.row(&row.work, &row.placement, floor_of(work, placement))
    }

    /// Returns the work and placement of all rows, in order.
    pub(crate) fn tasks(&self) -> Vec<(&str, &str)> {
        let mut tasks: Vec<_> =
            self.rows.iter().map(|row| (row.work.as_str(), row.placement.as_str())).collect();
        tasks.dedup();
        tasks
    }
}

impl Row {
    /// Returns whether the row is a rate, of which more is better: calls per second of concurrent
    /// work.
    pub(crate) fn is_rate(&self) -> bool {
        matches!(self.work.parse(), Ok(Work::Clients(_) | Work::Pipelined(_) | Work::OneWay(_)))
    }

    /// Returns the median of a number over the rounds.
    pub(crate) fn median(&self, number: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(number).collect())
    }

    /// Returns the main number of the row: nanoseconds per call, or calls per second.
    pub(crate) fn value(&self) -> f64 {
        match self.is_rate() {
            true => self.median(|round| round.calls_per_second),
            false => self.median(|round| round.median_ns),
        }
    }

    /// Returns the ratio to the floor: the median of the ratios within each round, because a
    /// disturbance affects both.
    pub(crate) fn ratio(&self, floor: &Self) -> f64 {
        median(noise::ratios(self, floor))
    }
}

/// Returns the median, or NaN if there are no numbers.
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

    /// Creates a row with rounds of these times.
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

    /// Creates results with these rows.
    pub(crate) fn results(rows: Vec<Row>) -> Results {
        Results { machine: "a machine".into(), rows, ..Results::default() }
    }

    #[test]
    fn results_are_loaded_as_they_were_saved() {
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
    fn a_ratio_compares_times_of_one_round() {
        // The second round was slow for both, and the floor has one more round.
        let ours = row("w1", "same", "x", &[10.0, 40.0]);
        let floor = row("w1", "same", "y", &[5.0, 20.0, 5.0]);
        assert_eq!(ours.ratio(&floor), 2.0);
    }
}
