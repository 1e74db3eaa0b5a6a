//! Estimates the time of a run, shows its progress, and keeps it within the limit.

use std::time::{Duration, Instant};

/// The steps of a run with their estimated times. If the run is late, the caller shortens later
/// steps.
#[derive(Debug)]
pub(crate) struct Pace {
    start: Instant,
    limit: Duration,
    estimates: Vec<Duration>,
    /// Number of steps that have started.
    begun: usize,
    step_start: Instant,
}

impl Pace {
    /// Starts a run.
    pub(crate) fn new(limit: Duration, estimates: Vec<Duration>) -> Self {
        let start = Instant::now();
        Self { start, limit, estimates, begun: 0, step_start: start }
    }

    /// Returns the estimated time of the whole run.
    pub(crate) fn estimate(&self) -> Duration {
        self.estimates.iter().sum::<Duration>().min(self.limit)
    }

    /// Starts a step. Prints its name and the remaining time.
    pub(crate) fn begin(&mut self, what: &str) {
        self.begun += 1;
        self.step_start = Instant::now();
        let (number, of) = (self.begun, self.estimates.len());
        eprint!("[{number}/{of}, {} left] {what} ", minutes(self.left()));
    }

    /// Ends the step, and prints how long it took.
    pub(crate) fn end(&self) {
        eprintln!(" {:.1} s", self.step_start.elapsed().as_secs_f64());
    }

    /// Returns whether the current step has used its time: the estimates up to and including this
    /// step, scaled to the limit.
    pub(crate) fn is_late(&self) -> bool {
        self.start.elapsed() > self.due()
    }

    /// Returns whether the time limit is reached.
    pub(crate) fn is_over(&self) -> bool {
        self.start.elapsed() > self.limit
    }

    /// Returns the time at which the current step should end.
    fn due(&self) -> Duration {
        let all: Duration = self.estimates.iter().sum();
        let so_far: Duration = self.estimates.iter().take(self.begun).sum();
        self.limit.mul_f64((so_far.as_secs_f64() / all.as_secs_f64().max(1e-9)).min(1.0))
    }

    /// Returns the estimated remaining time, based on the speed so far.
    fn left(&self) -> Duration {
        let done: Duration = self.estimates.iter().take(self.begun.saturating_sub(1)).sum();
        let rest: Duration = self.estimates.iter().skip(self.begun.saturating_sub(1)).sum();
        let pace = match done.as_secs_f64() {
            done if done < 1.0 => 1.0,
            done => self.start.elapsed().as_secs_f64() / done,
        };
        rest.mul_f64(pace).min(self.limit.saturating_sub(self.start.elapsed()))
    }
}

/// Formats a time for people.
pub(crate) fn minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..90 => format!("{seconds} s"),
        seconds => format!("{:.1} min", seconds as f64 / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_its_part_of_the_limit() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(second * 8, vec![second, second * 3]);
        assert_eq!(pace.estimate(), second * 4);
        pace.begin("first");
        assert_eq!(pace.due(), second * 2);
        pace.begin("second");
        assert_eq!(pace.due(), second * 8);
        assert!(!pace.is_late());
    }

    #[test]
    fn a_run_without_time_is_late_and_over() {
        let mut pace = Pace::new(Duration::ZERO, vec![Duration::from_secs(1)]);
        pace.begin("first");
        std::thread::sleep(Duration::from_millis(1));
        assert!(pace.is_late() && pace.is_over());
    }
}
