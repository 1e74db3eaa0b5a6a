//! How long a run takes: told before it begins, shown as it goes, and kept to.

use std::time::{Duration, Instant};

/// The steps of a run, each with the time that it will take by estimate. When the run is late,
/// later steps are to be made shorter.
#[derive(Debug)]
pub(crate) struct Pace {
    start: Instant,
    limit: Duration,
    estimates: Vec<Duration>,
    /// How many steps have begun.
    begun: usize,
    step_start: Instant,
}

impl Pace {
    /// A run that begins now.
    pub(crate) fn new(limit: Duration, estimates: Vec<Duration>) -> Self {
        let start = Instant::now();
        Self { start, limit, estimates, begun: 0, step_start: start }
    }

    /// How long all of it will take.
    pub(crate) fn estimate(&self) -> Duration {
        self.estimates.iter().sum::<Duration>().min(self.limit)
    }

    /// Begins a step, and says which, and how long the rest will take.
    pub(crate) fn begin(&mut self, what: &str) {
        self.begun += 1;
        self.step_start = Instant::now();
        let (number, of) = (self.begun, self.estimates.len());
        eprint!("[{number}/{of}, {} left] {what} ", minutes(self.left()));
    }

    /// Ends it, and says how long it took.
    pub(crate) fn end(&self) {
        eprintln!(" {:.1} s", self.step_start.elapsed().as_secs_f64());
    }

    /// Whether this step has had its time: that and all before it, stretched to the limit.
    pub(crate) fn is_late(&self) -> bool {
        self.start.elapsed() > self.due()
    }

    /// Whether there is no time left at all.
    pub(crate) fn is_over(&self) -> bool {
        self.start.elapsed() > self.limit
    }

    /// When the step that has begun is to be over.
    fn due(&self) -> Duration {
        let all: Duration = self.estimates.iter().sum();
        let so_far: Duration = self.estimates.iter().take(self.begun).sum();
        self.limit.mul_f64((so_far.as_secs_f64() / all.as_secs_f64().max(1e-9)).min(1.0))
    }

    /// What is left, at the pace that the run has had so far.
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

/// A time for people.
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
