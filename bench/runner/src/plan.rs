//! What is to be done.

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
            // Nearly all of the time is for connecting.
            Work::Idle(_) | Work::Jobs(_) => (options.ms.min(50), 1),
            _ => (options.ms, options.rounds),
        };
        for &placement in options.placements.as_deref().unwrap_or(usual) {
            tasks.push(Task { work, placement, ms, rounds });
        }
    }
    tasks
}
