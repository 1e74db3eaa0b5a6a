//! How long a call waits.

use std::time::{Duration, Instant};

use super::cancel::Cancel;
use crate::sync::now;
use crate::{Error, ErrorKind, Result};

/// How long a call waits, and what ends it before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience<'c> {
    /// When it was looked at the clock last: it takes as long as a lock, so once is enough for all
    /// that is done before the first wait.
    pub(crate) now: Instant,
    pub(crate) deadline: Instant,
    pub(crate) cancel: Option<&'c Cancel>,
}

impl Patience<'_> {
    /// How long it still lasted when it was looked at the clock last.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(self.now)
    }

    /// The same in milliseconds, rounded up.
    pub(super) fn left_ms(&self) -> u32 {
        u32::try_from(self.left().as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
    }

    /// Whether it is over.
    pub(super) fn check(&mut self) -> Result<()> {
        self.now = now();
        self.check_at(self.now)
    }

    /// Whether it was over at this time, or the call was cancelled.
    pub(super) fn check_at(&self, now: Instant) -> Result<()> {
        if self.cancel.is_some_and(Cancel::is_cancelled) {
            return Err(Error::new(ErrorKind::Cancelled, "the call was cancelled"));
        }
        if now >= self.deadline {
            return Err(Error::new(ErrorKind::TimedOut, "the server did not answer in time"));
        }
        Ok(())
    }
}

/// A shorter wait is left to `poll`, which is exact.
pub(super) const KERNEL_WAIT_MIN: Duration = Duration::from_millis(100);

/// The kernel's own wait ends some ticks late: so it is begun for less, and `poll` waits the rest.
pub(super) const KERNEL_WAIT_LATE: Duration = Duration::from_millis(20);
