//! A clock that processes share and nobody sets.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long this system has been up, without the time that it slept: the same for all processes.
pub fn uptime() -> Duration {
    // It doesn't go back, and isn't negative.
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}
