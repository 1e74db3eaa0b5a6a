//! The limits of this version of the runtime, on either side of a connection.

use std::time::Duration;

use syshandle_types::Limits;

/// Limits that each side announces in its first frame and enforces.
pub(crate) const LIMITS: Limits = Limits {
    message_bytes_max: Limits::ARENA_BYTES as u32,
    handles_max: Limits::HANDLES_MAX,
    calls_max: Limits::CALLS_MAX,
};

/// How long a client waits for the result of a call, unless it sets another timeout.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);
