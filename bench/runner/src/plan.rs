//! The tasks of a run and their estimated times.

use std::time::Duration;

use bench_harness::{Placement, Work};

use crate::options::Options;

/// A row of the results: the work and its placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) work: Work,
    pub(crate) placement: Placement,
    /// Length of a turn.
    pub(crate) ms: u64,
    pub(crate) rounds: usize,
}

impl Task {
    /// Returns the typical time of this task for `contenders` contenders.
    pub(crate) fn estimate(&self, contenders: usize) -> Duration {
        let of_one = match self.work {
            // Most of the time goes to connecting, which takes up to half a millisecond per client.
            Work::Idle(clients) => clients as f64 * 0.5 + 300.0,
            // The turn continues until the last call has ended, and new connections are opened
            // before each turn.
            Work::Clients(_) | Work::Pipelined(_) | Work::OneWay(_) => {
                self.rounds as f64 * (self.ms as f64 + 25.0)
            }
            Work::Cold => self.rounds as f64 * (self.ms as f64 + 15.0),
            _ => self.rounds as f64 * (self.ms as f64 + 5.0),
        };
        Duration::from_secs_f64(contenders as f64 * (of_one + 30.0) / 1e3)
    }
}

/// Returns all tasks in order.
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
        Work::OneWay(1000),
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
            // A call takes one or more milliseconds.
            Work::Cold => (options.ms * 2, options.rounds),
            // The work is set up once and has one turn, which must be long enough for a reliable
            // median.
            Work::Idle(_)
            | Work::BackgroundTasks(_)
            | Work::Timers(_)
            | Work::Objects(_)
            | Work::NewObject(_) => (options.ms.max(200), 1),
            _ => (options.ms, options.rounds),
        };
        for &placement in options.placements.as_deref().unwrap_or(usual) {
            tasks.push(Task { work, placement, ms, rounds });
        }
    }
    tasks
}
