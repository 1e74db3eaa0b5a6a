//! The limits that this version of the runtime has on both sides of a connection.

use std::time::{Duration, Instant};

use syshandle_types::Limits;

/// Limits that each side announces in its first frame and enforces.
pub(crate) const LIMITS: Limits = Limits {
    message_bytes_max: Limits::ARENA_BYTES as u32,
    handles_max: Limits::HANDLES_MAX,
    calls_max: Limits::CALLS_MAX,
};

/// Returns the deadline of a timeout that starts at `now`. A timeout that doesn't fit into an
/// `Instant` becomes one year.
pub(crate) fn deadline(now: Instant, timeout: Duration) -> Instant {
    now.checked_add(timeout).unwrap_or(now + YEAR)
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Default timeout of a call.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);
