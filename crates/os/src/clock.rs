//! The monotonic clock, which is the same for all processes and can't be set.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Returns how long this system has been up, without the time it was suspended. All processes get
/// the same value.
pub fn uptime() -> Duration {
    // The clock never goes back and is never negative.
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}
