//! The time of each call, and what all of them took.

use std::fmt;
use std::time::{Duration, Instant};

use crate::cpu_time;

/// Counts and times calls, until time or room is over.
///
/// `while laps.next() { call()?; }` times every call, with one reading of the clock a lap.
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

/// What the laps of one run come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// How many calls.
    pub calls: u64,
    /// How long all took, in seconds.
    pub seconds: f64,
    /// The median of one call, in nanoseconds.
    pub median_ns: f64,
    /// 99 of 100 calls took no longer than this.
    pub p99_ns: f64,
    /// CPU time of all processes for one call.
    pub cpu_ns: f64,
    /// Bytes of the server's memory for each of what the work counts.
    pub memory: Option<f64>,
    /// Nanoseconds that it took to set up one of what the work counts: their median.
    pub set_up_ns: Option<f64>,
}

impl Laps {
    /// Laps for this long, whose CPU time is that of these processes.
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

    /// Laps of another thread or task, with the same budget; to be merged.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { laps_max: self.laps_max, ..Self::new(self.budget, Vec::new()) }
    }

    /// Each lap is so many calls.
    pub fn set_calls_per_lap(&mut self, calls: usize) {
        self.calls_per_lap = calls.max(1);
    }

    /// Notes by how much the server's memory has grown for so many of what the work counts.
    pub fn set_memory(&mut self, before: u64, after: u64, count: usize) {
        self.memory = Some(after.saturating_sub(before) as f64 / count.max(1) as f64);
    }

    /// Notes how long it took to set up each of what the work counts: the median is kept.
    pub fn set_up(&mut self, mut times: Vec<Duration>) {
        times.sort_unstable();
        self.set_up = times.get(times.len() / 2).map(|time| time.as_nanos() as f64);
    }

    /// Ends a lap and begins the next; `false` when it was the last one.
    #[expect(clippy::should_implement_trait, reason = "a lap is no item")]
    pub fn next(&mut self) -> bool {
        match self.start {
            None => self.start(),
            Some(_) => self.end_lap(),
        }
        self.is_on()
    }

    /// Begins to count.
    pub fn start(&mut self) {
        self.cpu_at_start = cpu_time(&self.pids);
        let now = Instant::now();
        self.start = Some(now);
        self.last = now;
    }

    /// Begins a lap anew: what came before it doesn't count.
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

    /// Whether there is to be another lap.
    pub fn is_on(&self) -> bool {
        let within = self.start.is_none_or(|start| self.last.duration_since(start) < self.budget);
        within && self.nanoseconds.len() < self.laps_max
    }

    /// Ends the count: for work that is timed as a whole.
    pub fn finish(&mut self) {
        if let Some(start) = self.start {
            self.elapsed = start.elapsed();
            self.cpu = cpu_time(&self.pids).saturating_sub(self.cpu_at_start);
        }
    }

    /// Takes in the laps of others; after [`Laps::finish`].
    pub fn merge(&mut self, others: impl IntoIterator<Item = Self>) {
        let mut last = None;
        for other in others {
            self.nanoseconds.extend(other.nanoseconds);
            last = last.max(Some(other.last));
        }
        // This thread may have had to wait for a core before it could look at the clock.
        if let (Some(start), Some(last)) = (self.start, last) {
            self.elapsed = last.saturating_duration_since(start);
        }
    }

    /// What they come to.
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

/// One line, as [`Report::read`] reads it.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, seconds, median_ns, p99_ns, cpu_ns, memory, set_up_ns } = self;
        write!(f, "{calls} {seconds} {median_ns} {p99_ns} {cpu_ns}")?;
        for number in [memory, set_up_ns] {
            // What there is none of is written as no number.
            write!(f, " {}", number.unwrap_or(f64::NAN))?;
        }
        Ok(())
    }
}

impl Report {
    /// Reads what was written; `None` if it isn't a report.
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

/// More laps than that are no better, and take memory.
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
