//! Deadline of a call.

use std::time::{Duration, Instant};

use crate::client::cancel::Cancel;
use crate::sync::now;
use crate::{Error, ErrorKind, Result, limits};

/// Deadline of a call, and the [`Cancel`] that may end it earlier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline<'c> {
    /// Time at which the deadline passes.
    pub(crate) instant: Instant,
    pub(crate) cancel: Option<&'c Cancel>,
    /// Time left at the last clock read. Reading the clock costs as much as taking a lock, so it is
    /// read once for everything before the first wait.
    left: Duration,
}

impl<'c> Deadline<'c> {
    /// Starts a wait of at most `timeout` from now on.
    pub(crate) fn lasting(timeout: Duration, cancel: Option<&'c Cancel>) -> Self {
        let now = now();
        let instant = limits::deadline(now, timeout);
        Self { instant, cancel, left: instant - now }
    }

    /// Resumes a wait that has the deadline already.
    pub(super) fn until(instant: Instant, cancel: Option<&'c Cancel>) -> Self {
        let mut deadline = Self { instant, cancel, left: Duration::ZERO };
        deadline.look();
        deadline
    }

    /// Returns a copy that ends at most `timeout` after the last clock read.
    pub(super) fn at_most(&self, timeout: Duration) -> Self {
        match self.left.checked_sub(timeout) {
            Some(more) => Self { left: timeout, instant: self.instant - more, ..*self },
            None => *self,
        }
    }

    /// Reads the clock.
    pub(crate) fn look(&mut self) {
        self.left = self.instant.saturating_duration_since(now());
    }

    /// Returns the time left at the last clock read.
    pub(super) fn left(&self) -> Duration {
        self.left
    }

    /// Returns the time left at the last clock read in milliseconds, rounded up.
    pub(super) fn left_ms(&self) -> u32 {
        milliseconds(self.left)
    }

    /// Returns an error if the call was cancelled, or if no time was left at the last clock read.
    pub(super) fn check(&self) -> Result<()> {
        if self.cancel.is_some_and(Cancel::is_cancelled) {
            return Err(Error::detected(ErrorKind::Cancelled, "the call was cancelled"));
        }
        if self.left.is_zero() {
            return Err(Error::detected(ErrorKind::TimedOut, "timed out waiting for the reply"));
        }
        Ok(())
    }
}

/// Returns a time in milliseconds, rounded up.
pub(super) fn milliseconds(time: Duration) -> u32 {
    let part_ms = time.subsec_nanos().div_ceil(1_000_000);
    let whole_ms = time.as_secs().saturating_mul(1_000);
    u32::try_from(whole_ms.saturating_add(part_ms.into())).unwrap_or(u32::MAX)
}

/// Shortest wait that is made in the receiving system call. `poll` makes shorter ones, because it
/// is exact.
pub(super) const KERNEL_WAIT_MIN: Duration = Duration::from_millis(100);

/// Timeout of the receiving system call. Waiting there costs less than `poll` and a second receive,
/// but ends a few kernel ticks late. `poll` waits for the rest, exactly.
pub(super) const KERNEL_WAIT: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{TestClock, run_once};

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn the_time_left_is_cached_at_the_last_clock_read() {
        run_once(|| {
            let mut deadline = Deadline::lasting(ms(100), None);
            TestClock::advance_to(now() + ms(60));
            assert_eq!(deadline.left_ms(), 100);
            deadline.look();
            assert_eq!(deadline.left_ms(), 40, "rounded up");
            deadline.check().unwrap();
            assert!(Deadline::until(deadline.instant, None).left() < deadline.left());
            TestClock::advance_to(now() + ms(60));
            deadline.look();
            assert_eq!(deadline.left_ms(), 0);
            assert_eq!(deadline.check().unwrap_err().kind(), ErrorKind::TimedOut);
        });
    }

    #[test]
    fn a_part_of_it_ends_no_later() {
        run_once(|| {
            let deadline = Deadline::lasting(ms(100), None);
            let part = deadline.at_most(ms(10));
            assert_eq!((part.left(), part.instant), (ms(10), deadline.instant - ms(90)));
            assert_eq!(deadline.at_most(ms(1_000)).instant, deadline.instant);
            let for_ever = Deadline::lasting(Duration::MAX, None);
            assert_eq!(for_ever.left_ms(), u32::MAX);
            assert_eq!(for_ever.at_most(ms(10)).left(), ms(10));
        });
    }
}
