//! How long a call waits.

use std::time::{Duration, Instant};

use super::cancel::Cancel;
use crate::sync::now;
use crate::{Error, ErrorKind, Result};

/// How long a call waits, and what ends it before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience<'c> {
    pub(crate) deadline: Instant,
    pub(crate) cancel: Option<&'c Cancel>,
    /// What was left when it was looked at the clock last: that takes as long as a lock, so once is
    /// enough for all that is done before the first wait.
    left: Duration,
}

impl<'c> Patience<'c> {
    /// That of what begins now, and may take so long.
    pub(crate) fn lasting(timeout: Duration, cancel: Option<&'c Cancel>) -> Self {
        let now = now();
        // A timeout too long to be a point in time is a very long one.
        let (deadline, left) = match now.checked_add(timeout) {
            Some(deadline) => (deadline, timeout),
            None => (now + FOR_EVER, FOR_EVER),
        };
        Self { deadline, cancel, left }
    }

    /// That of what began before.
    pub(super) fn until(deadline: Instant, cancel: Option<&'c Cancel>) -> Self {
        let mut patience = Self { deadline, cancel, left: Duration::ZERO };
        patience.look();
        patience
    }

    /// The same, but it ends sooner: so much after it was looked at the clock last.
    pub(super) fn at_most(&self, timeout: Duration) -> Self {
        match self.left.checked_sub(timeout) {
            Some(more) => Self { left: timeout, deadline: self.deadline - more, ..*self },
            None => *self,
        }
    }

    /// Looks at the clock.
    pub(crate) fn look(&mut self) {
        self.left = self.deadline.saturating_duration_since(now());
    }

    /// How long it still lasted when it was looked at the clock last.
    pub(super) fn left(&self) -> Duration {
        self.left
    }

    /// The same in milliseconds, rounded up.
    pub(super) fn left_ms(&self) -> u32 {
        let part_ms = self.left.subsec_nanos().div_ceil(1_000_000);
        let whole_ms = self.left.as_secs().saturating_mul(1_000);
        u32::try_from(whole_ms.saturating_add(part_ms.into())).unwrap_or(u32::MAX)
    }

    /// Whether it was over when it was looked at the clock last, or the call was cancelled.
    pub(super) fn check(&self) -> Result<()> {
        if self.cancel.is_some_and(Cancel::is_cancelled) {
            return Err(Error::new(ErrorKind::Cancelled, "the call was cancelled"));
        }
        if self.left.is_zero() {
            return Err(Error::new(ErrorKind::TimedOut, "the server did not answer in time"));
        }
        Ok(())
    }
}

const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A shorter wait is left to `poll`, which is exact.
pub(super) const KERNEL_WAIT_MIN: Duration = Duration::from_millis(100);

/// How long the system call that receives waits itself, which costs less than `poll` and a second
/// call. It ends a few ticks of the kernel late. `poll` waits for the rest, exactly.
pub(super) const KERNEL_WAIT: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{Tick, run_once};

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn what_is_left_is_what_was_left_at_the_last_look() {
        run_once(|| {
            let mut patience = Patience::lasting(ms(100), None);
            Tick::to(now() + ms(60));
            assert_eq!(patience.left_ms(), 100);
            patience.look();
            assert_eq!(patience.left_ms(), 40, "rounded up");
            patience.check().unwrap();
            assert!(Patience::until(patience.deadline, None).left() < patience.left());
            Tick::to(now() + ms(60));
            patience.look();
            assert_eq!(patience.left_ms(), 0);
            assert_eq!(patience.check().unwrap_err().kind(), ErrorKind::TimedOut);
        });
    }

    #[test]
    fn a_part_of_it_ends_no_later() {
        run_once(|| {
            let patience = Patience::lasting(ms(100), None);
            let part = patience.at_most(ms(10));
            assert_eq!((part.left(), part.deadline), (ms(10), patience.deadline - ms(90)));
            assert_eq!(patience.at_most(ms(1_000)).deadline, patience.deadline);
            let for_ever = Patience::lasting(Duration::MAX, None);
            assert_eq!(for_ever.left_ms(), u32::MAX);
            assert_eq!(for_ever.at_most(ms(10)).left(), ms(10));
        });
    }
}
