//! What is to be done, and how long that takes.

use std::time::Duration;

use bench_harness::{Placement, Work};

use crate::options::Options;

/// A row of the results: work, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) work: Work,
    pub(crate) placement: Placement,
    /// How long one turn is.
    pub(crate) ms: u64,
    pub(crate) rounds: usize,
}

impl Task {
    /// How long it takes so many contenders, by experience.
    pub(crate) fn estimate(&self, contenders: usize) -> Duration {
        let of_one = match self.work {
            // Nearly all of it is for connecting, half a millisecond each with the slow ones.
            Work::Idle(clients) => clients as f64 * 0.5 + 300.0,
            // A turn ends when its last call does; between turns connections are made.
            Work::Clients(_) | Work::Pipelined(_) => self.rounds as f64 * (self.ms as f64 + 25.0),
            Work::Cold => self.rounds as f64 * (self.ms as f64 + 15.0),
            _ => self.rounds as f64 * (self.ms as f64 + 5.0),
        };
        Duration::from_secs_f64(contenders as f64 * (of_one + 30.0) / 1e3)
    }
}

/// All tasks, in order.
pub(crate) fn tasks(options: &Options) -> Vec<Task> {
    let idle = if options.quick { 1_000 } else { 10_000 };
    let usual = [
        Work::Null,
        Work::Handles,
        Work::Sparkle,
        Work::Clients(1),
        Work::Clients(8),
        Work::Clients(64),
        Work::Pipelined(64),
        Work::Payload(64 * 1024),
        Work::Payload(1024 * 1024),
        Work::Connect,
        Work::Cold,
        Work::Idle(idle),
    ];
    let works = options.work.clone().unwrap_or_else(|| usual.into());
    let mut tasks = Vec::new();
    for work in works {
        let usual = match work {
            Work::Null | Work::Handles | Work::Sparkle => {
                &[Placement::Same, Placement::Free, Placement::Split][..]
            }
            Work::Payload(_) | Work::Connect | Work::ManyHandles(_) => &[Placement::Same][..],
            _ => &[Placement::Free][..],
        };
        let (ms, rounds) = match work {
            // One call is a millisecond, or several.
            Work::Cold => (options.ms * 2, options.rounds),
            // Set up once; long enough for a median that holds.
            Work::Idle(_) | Work::Jobs(_) | Work::Timers(_) => (options.ms.max(200), 1),
            _ => (options.ms, options.rounds),
        };
        for &placement in options.placements.as_deref().unwrap_or(usual) {
            tasks.push(Task { work, placement, ms, rounds });
        }
    }
    tasks
}
