//! The results of an attack, displayed as a table.

use std::fmt;
use std::io;
use std::time::Duration;

use syshandle_types::Printable;

use crate::honest_client::Latencies;
use crate::resources::ResourceUsage;
use crate::scenario::{Attempt, Scenario};

/// The results of an attack.
#[derive(Debug)]
pub struct Report {
    /// The honest client's latencies without an attack.
    pub idle: Latencies,
    /// The server's resources before the attack.
    pub before: ResourceUsage,
    /// The server's resources after the attack.
    pub after: ResourceUsage,
    /// The results of each scenario.
    pub results: Vec<ScenarioResult>,
    /// Maximum value of [`Report::slower`].
    pub slower_max: f64,
}

/// The results of one scenario.
#[derive(Debug)]
pub struct ScenarioResult {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// The attempts, with the server's responses.
    pub attempts: Vec<Attempt>,
    /// The honest client's latencies during the scenario.
    pub latencies: Latencies,
    /// Number of descriptors that the server has not closed after the scenario.
    pub leaked: usize,
    /// The server's resources after the scenario; `None` if the server has ended.
    pub after: Option<ResourceUsage>,
}

impl Report {
    /// Returns whether the server passed every scenario.
    pub fn passed(&self) -> bool {
        self.results.iter().all(|result| result.passed(self)) && self.is_memory_stable()
    }

    /// Returns whether the server's memory usage is the same as before, except for memory that an
    /// allocator may keep.
    pub fn is_memory_stable(&self) -> bool {
        self.after.memory_kib <= self.before.memory_kib + MEMORY_KEPT_KIB
    }

    /// Returns the ratio of the honest client's median latency during a scenario to that without an
    /// attack.
    pub fn slower(&self, result: &ScenarioResult) -> f64 {
        ratio(result.latencies.median(), self.idle.median())
    }
}

fn ratio(attacked: Duration, idle: Duration) -> f64 {
    attacked.as_secs_f64() / idle.max(CALL_TIME_MIN).as_secs_f64()
}

/// The least time of a call. On a busy machine the measured waits for a processor can exceed the
/// time of a call, which then seems to take no time.
const CALL_TIME_MIN: Duration = Duration::from_micros(10);

impl ScenarioResult {
    /// Creates the result of a scenario during which the honest client wasn't served or the server
    /// ended.
    pub(crate) fn failed(scenario: &'static Scenario, error: &io::Error) -> Self {
        let attempt = Attempt {
            description: "calls of the honest client".into(),
            responses: Printable(error).to_string(),
            passed: false,
        };
        let latencies = Latencies::default();
        Self { scenario, attempts: vec![attempt], latencies, leaked: 0, after: None }
    }

    fn passed(&self, report: &Report) -> bool {
        let correct =
            !self.attempts.is_empty() && self.attempts.iter().all(|attempt| attempt.passed);
        correct && self.leaked == 0 && report.slower(self) <= report.slower_max
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempts = || self.results.iter().flat_map(|result| &result.attempts);
        let width = attempts().map(|attempt| attempt.description.chars().count()).max();
        let width = width.unwrap_or(0);
        writeln!(f, "{:<15} {:<width$}  {:<7} response", "scenario", "attempt", "verdict")?;
        for result in &self.results {
            for Attempt { description, responses, passed } in &result.attempts {
                let (name, verdict) =
                    (result.scenario.name, if *passed { "right" } else { "WRONG" });
                writeln!(f, "{name:<15} {description:<width$}  {verdict:<7} {responses}")?;
            }
        }
        let idle = self.idle.median();
        writeln!(
            f,
            "\nAn honest client during the attack; without an attack its median is {idle:?}. The \
             time for which a thread waited for a processor is left out.\n"
        )?;
        writeln!(
            f,
            "{:<15} {:>8} {:>8} {:>11} {:>11} {:>11} {:>6}  verdict",
            "scenario", "calls", "median", "p99", "worst", "new client", "leaked"
        )?;
        for result in &self.results {
            writeln!(
                f,
                "{:<15} {:>8} {:>7.1}x {:>11} {:>11} {:>11} {:>6}  {}",
                result.scenario.name,
                result.latencies.calls(),
                self.slower(result),
                milliseconds(result.latencies.p99()),
                milliseconds(result.latencies.worst()),
                milliseconds(result.latencies.worst_first_call()),
                result.leaked,
                if result.passed(self) { "passed" } else { "FAILED" },
            )?;
        }
        let memory = if self.is_memory_stable() { "stable" } else { "GREW" };
        writeln!(
            f,
            "\nThe server before: {}\nand afterwards:    {} ({memory})",
            self.before, self.after
        )
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

/// Memory in KiB that the server may keep: caches that the allocator made for ended threads, and
/// tables that have grown.
const MEMORY_KEPT_KIB: u64 = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_seems_to_take_no_time_is_no_measure_for_others() {
        let (call, slow) = (Duration::from_micros(300), Duration::from_millis(30));
        assert!(ratio(call, Duration::ZERO) < 100.0);
        assert!(ratio(slow, Duration::ZERO) > 100.0 && ratio(slow, call) < 101.0);
    }
}
