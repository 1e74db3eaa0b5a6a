//! Measures the time of each call and of the whole run.

use std::fmt;
use std::time::{Duration, Instant};

use crate::cpu_time;

/// Counts and times calls until the time budget or the space for recorded times is used up.
///
/// `while laps.next() { call()?; }` times every call, with one clock read per lap.
#[derive(Debug)]
pub struct Laps {
    budget: Duration,
    laps_max: usize,
    calls_per_lap: usize,
    pids: Vec<u32>,
    nanoseconds: Vec<u32>,
    start: Option<Instant>,
    last: Instant,
    cpu_at_start: Duration,
    cpu: Duration,
    elapsed: Duration,
    memory: Option<f64>,
    set_up: Option<f64>,
}

/// The results of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Number of calls.
    pub calls: u64,
    /// Total time in seconds.
    pub seconds: f64,
    /// Median time of a call, in nanoseconds.
    pub median_ns: f64,
    /// 99th percentile of the time of a call, in nanoseconds.
    pub p99_ns: f64,
    /// CPU time of all processes per call, in nanoseconds.
    pub cpu_ns: f64,
    /// Growth of the server's memory per idle client or waiting background task, in bytes. `None`
    /// for work without these.
    pub memory: Option<f64>,
    /// Median time to connect an idle client or to start a waiting background task, in nanoseconds.
    pub set_up_ns: Option<f64>,
}

impl Laps {
    /// Creates a measurement with this time budget, which also counts the CPU time of these
    /// processes.
    pub fn new(budget: Duration, pids: Vec<u32>) -> Self {
        Self {
            budget,
            laps_max: LAPS_MAX,
            calls_per_lap: 1,
            pids,
            nanoseconds: Vec::with_capacity(LAPS_MAX.min(1 << 18)),
            start: None,
            last: Instant::now(),
            cpu_at_start: Duration::ZERO,
            cpu: Duration::ZERO,
            elapsed: Duration::ZERO,
            memory: None,
            set_up: None,
        }
    }

    /// Creates a measurement with the same budget for another thread or task, to be merged later.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { laps_max: self.laps_max, ..Self::new(self.budget, Vec::new()) }
    }

    /// Sets the number of calls per lap.
    pub fn set_calls_per_lap(&mut self, calls: usize) {
        self.calls_per_lap = calls.max(1);
    }

    /// Records the growth of the server's memory for `count` idle clients or waiting background
    /// tasks.
    pub fn set_memory(&mut self, before: u64, after: u64, count: usize) {
        self.memory = Some(after.saturating_sub(before) as f64 / count.max(1) as f64);
    }

    /// Records the time to set up each idle client or waiting background task. The median is kept.
    pub fn set_up(&mut self, mut times: Vec<Duration>) {
        times.sort_unstable();
        self.set_up = times.get(times.len() / 2).map(|time| time.as_nanos() as f64);
    }

    /// Ends a lap and starts the next one. Returns `false` if it was the last one.
    #[expect(clippy::should_implement_trait, reason = "a lap is no item")]
    pub fn next(&mut self) -> bool {
        match self.start {
            None => self.start(),
            Some(_) => self.end_lap(),
        }
        self.is_on()
    }

    /// Starts the measurement.
    pub fn start(&mut self) {
        self.cpu_at_start = cpu_time(&self.pids);
        let now = Instant::now();
        self.start = Some(now);
        self.last = now;
    }

    /// Starts a lap. The time since the last lap doesn't count.
    pub fn begin_lap(&mut self) {
        if self.start.is_none() {
            self.start();
        }
        self.last = Instant::now();
    }

    /// Ends a lap.
    pub fn end_lap(&mut self) {
        let now = Instant::now();
        let lap = now.duration_since(self.last);
        self.last = now;
        self.nanoseconds.push(u32::try_from(lap.as_nanos()).unwrap_or(u32::MAX));
        if !self.is_on() {
            self.finish();
        }
    }

    /// Returns whether another lap should follow.
    pub fn is_on(&self) -> bool {
        let within = self.start.is_none_or(|start| self.last.duration_since(start) < self.budget);
        within && self.nanoseconds.len() < self.laps_max
    }

    /// Ends the measurement, for work that is timed as a whole.
    pub fn finish(&mut self) {
        if let Some(start) = self.start {
            self.elapsed = start.elapsed();
            self.cpu = cpu_time(&self.pids).saturating_sub(self.cpu_at_start);
        }
    }

    /// Merges the measurements of other threads into this one. Must be called after
    /// [`Laps::finish`].
    pub fn merge(&mut self, others: impl IntoIterator<Item = Self>) {
        let mut last = None;
        for other in others {
            self.nanoseconds.extend(other.nanoseconds);
            last = last.max(Some(other.last));
        }
        // The run ends with the last lap of any thread. The current time would be too late, because
        // this thread may have waited for a core before it read the clock.
        if let (Some(start), Some(last)) = (self.start, last) {
            self.elapsed = last.saturating_duration_since(start);
        }
    }

    /// Returns the results.
    pub fn report(mut self) -> Report {
        self.nanoseconds.sort_unstable();
        let laps = self.nanoseconds.len();
        let calls = laps * self.calls_per_lap;
        let at = |share: f64| match self.nanoseconds.get((laps as f64 * share) as usize) {
            Some(lap) => f64::from(*lap) / self.calls_per_lap as f64,
            None => f64::NAN,
        };
        Report {
            calls: calls as u64,
            seconds: self.elapsed.as_secs_f64(),
            median_ns: at(0.5),
            p99_ns: at(0.99),
            cpu_ns: self.cpu.as_nanos() as f64 / calls.max(1) as f64,
            memory: self.memory,
            set_up_ns: self.set_up,
        }
    }
}

/// Writes one line that [`Report::read`] can parse.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, seconds, median_ns, p99_ns, cpu_ns, memory, set_up_ns } = self;
        write!(f, "{calls} {seconds} {median_ns} {p99_ns} {cpu_ns}")?;
        for number in [memory, set_up_ns] {
            // A missing number is written as `NaN`.
            write!(f, " {}", number.unwrap_or(f64::NAN))?;
        }
        Ok(())
    }
}

impl Report {
    /// Parses a report. Returns `None` if the text isn't one.
    pub fn read(text: &str) -> Option<Self> {
        let numbers: Vec<f64> =
            text.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
        let [calls, seconds, median_ns, p99_ns, cpu_ns, memory, set_up_ns] = numbers.as_slice()
        else {
            return None;
        };
        let number = |number: &f64| Some(*number).filter(|number| !number.is_nan());
        Some(Self {
            calls: *calls as u64,
            seconds: *seconds,
            median_ns: *median_ns,
            p99_ns: *p99_ns,
            cpu_ns: *cpu_ns,
            memory: number(memory),
            set_up_ns: number(set_up_ns),
        })
    }
}

/// Maximum number of recorded laps. More laps would take memory and not improve the accuracy.
const LAPS_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_is_written() {
        let bare = Report {
            calls: 7,
            seconds: 0.5,
            median_ns: 1500.5,
            p99_ns: 3000.0,
            cpu_ns: 12.25,
            memory: None,
            set_up_ns: None,
        };
        for report in [bare, Report { memory: Some(1159.0), set_up_ns: Some(2.5), ..bare }] {
            assert_eq!(Report::read(&report.to_string()), Some(report));
        }
        assert_eq!(Report::read("1 2 3"), None);
        assert_eq!(Report::read("1 2 3 4 5 6 x"), None);
    }
}
