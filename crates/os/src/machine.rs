//! The cores of this machine, and its monotonic clock.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::sys;

/// Returns the index of the core on which this thread runs. The thread may move to another core at
/// any time: see [sched_getcpu(3)](https://man7.org/linux/man-pages/man3/sched_getcpu.3.html).
#[inline]
pub fn current_core() -> usize {
    sys::this_process::current_core()
}

/// Returns the number of cores on which this thread may run: see
/// [sched_getaffinity(2)](https://man7.org/linux/man-pages/man2/sched_getaffinity.2.html).
///
/// Unlike [`available_parallelism`](std::thread::available_parallelism), this ignores the CPU quota
/// of the control group. Reading the quota takes about twenty system calls, more than all other
/// steps of starting a server.
pub fn usable_cores() -> usize {
    match rustix::thread::sched_getaffinity(None) {
        Ok(cores) => (cores.count() as usize).max(1),
        // The machine has more cores than the set can represent.
        Err(_) => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// Returns how long the system has been running, without suspend time (`CLOCK_MONOTONIC`). The
/// value is the same for all processes.
pub fn uptime() -> Duration {
    // The clock is never negative.
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_fewer_cores_than_the_standard_library_finds() {
        let found = std::thread::available_parallelism().unwrap().get();
        assert!(usable_cores() >= found, "{} and {found}", usable_cores());
    }
}
