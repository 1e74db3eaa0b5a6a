//! Why a background task stopped waiting.

/// Why a background task stopped waiting for an object; see
/// [`Context::on_signal`](crate::Context::on_signal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The object was signalled, and the task took the signal: an auto-reset event was reset.
    Fired,
    /// The timeout passed, or the object could not be checked.
    Expired,
    /// The client died first.
    ClientDied,
    /// The server is about to end.
    Stopping,
}

/// Why a background task stopped waiting for a timer; see
/// [`Context::on_timer`](crate::Context::on_timer).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimerOutcome {
    /// The delay has passed.
    Elapsed,
    /// The client died first.
    ClientDied,
    /// The server is about to end.
    Stopping,
}

impl TimerOutcome {
    /// Converts the outcome of a wait without an object, or for an object that is never signalled.
    pub(super) fn of_wait(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Fired | Outcome::Expired => Self::Elapsed,
            Outcome::ClientDied => Self::ClientDied,
            Outcome::Stopping => Self::Stopping,
        }
    }
}
