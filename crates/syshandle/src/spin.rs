//! Polls for a message for a short time before the thread sleeps.
//!
//! Waking an idle core costs tens of microseconds on a virtual machine, more than most calls take.
//! So a thread that waits for a message from another core spins: it polls repeatedly, for up to
//! [`LIMIT`], before it sleeps. Between two polls it yields to other threads of its program that
//! may need the core. If other threads repeatedly use the core, it sleeps.
//!
//! Spinning is useless if both sides share a core, because the peer can't run before the spinning
//! thread sleeps. Yielding doesn't help: between sessions or control groups, such as a server's
//! and its clients', a yield doesn't release the core. With the scheduler's autogroups, a trace
//! showed eleven consecutive yields while the other side was ready to run. Therefore each frame
//! contains the core of its sender ([`CoreHint`]), and a thread that shares this core sleeps at
//! once.
//!
//! After repeated misses, spinning stops and is retried periodically. Both sides must retry at the
//! same time, because a peer that sleeps answers too late for the spinning side. So all processes
//! retry in the same milliseconds of a common clock. In an earlier version each process had its own
//! schedule. Two sides that had once stopped on a slow machine then never resumed, and their calls
//! took fifteen times as long.
//!
//! `SYSHANDLE_SPIN=0` in the environment of a process disables spinning.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use syshandle_wire::CoreHint;

use crate::sync::{now, thread, uptime};

/// Learns whether spinning is worthwhile on one connection. A new connection starts with the most
/// recent state of any other connection.
#[derive(Debug)]
pub(crate) struct Spin {
    /// Number of consecutive misses.
    misses: AtomicU32,
}

/// A wait in progress.
#[derive(Debug)]
pub(crate) struct SpinWait<'s> {
    spin: &'s Spin,
    next: Next,
    polls: u32,
}

/// The next action of the waiting thread.
#[derive(Clone, Copy, Debug)]
enum Next {
    FirstPoll,
    Poll {
        since: Instant,
        until: Instant,
        /// Number of consecutive polls before each of which another thread had used the core.
        crowded: u32,
    },
    /// Poll once more before sleeping. A message may have arrived while other threads ran, or when
    /// the time limit passed.
    LastPoll,
    Sleep,
}

/// The number of misses of a connection that hasn't completed any wait.
const UNKNOWN: u32 = u32::MAX;

/// The number of misses of the connection that was updated last.
static LEARNED: AtomicU32 = AtomicU32::new(0);

impl Default for Spin {
    fn default() -> Self {
        Self { misses: UNKNOWN.into() }
    }
}

impl Spin {
    /// Starts a wait for a message from a thread that ran on `peer`.
    pub(crate) fn start(&self, peer: CoreHint) -> SpinWait<'_> {
        let pays = *ALLOWED
            && peer.is(here()) == Some(false)
            && (self.misses() < MISSES_MAX || is_time_to_try(uptime()));
        let next = if pays { Next::FirstPoll } else { Next::Sleep };
        SpinWait { spin: self, next, polls: 0 }
    }

    fn misses(&self) -> u32 {
        match self.misses.load(Ordering::Relaxed) {
            UNKNOWN => LEARNED.load(Ordering::Relaxed),
            misses => misses,
        }
    }

    fn learn(&self, misses: u32) {
        // The value is written only if it changes, because all cores share its cache line.
        if self.misses.load(Ordering::Relaxed) != misses {
            self.misses.store(misses, Ordering::Relaxed);
            LEARNED.store(misses, Ordering::Relaxed);
        }
    }
}

impl SpinWait<'_> {
    /// Returns whether spinning is worthwhile now.
    pub(crate) fn spins(&self) -> bool {
        !matches!(self.next, Next::Sleep)
    }

    /// Waits briefly before the next poll. Returns `false` if the thread must sleep instead.
    pub(crate) fn again(&mut self) -> bool {
        self.next = match self.next {
            Next::FirstPoll => {
                let since = now();
                Next::Poll { since, until: since + LIMIT, crowded: 0 }
            }
            Next::Poll { since, until, crowded } => {
                // A yield takes as long as a poll. Without this pause, polling would slow down the
                // other side's use of the socket.
                thread::yield_now();
                let now = now();
                let passed = now - since;
                // The time limit is extended by the time in which other threads used the core.
                let (until, crowded) = match passed > OTHERS {
                    true => (until + passed, crowded + 1),
                    false => (until, 0),
                };
                match now >= until || crowded == CROWDED_MAX {
                    true => Next::LastPoll,
                    false => Next::Poll { since: now, until, crowded },
                }
            }
            Next::LastPoll => {
                self.miss();
                Next::Sleep
            }
            Next::Sleep => Next::Sleep,
        };
        self.polls += 1;
        !matches!(self.next, Next::Sleep)
    }

    fn miss(&self) {
        self.spin.learn((self.spin.misses() + 1).min(MISSES_MAX));
    }

    /// Records that the message arrived. A message that the first poll finds is not a hit, because
    /// it had arrived without spinning.
    pub(crate) fn hit(&self) {
        if self.polls > 1 {
            self.spin.learn(0);
        }
    }
}

/// Returns the core of this thread.
pub(crate) fn here() -> CoreHint {
    CoreHint::on_core(syshandle_os::current_core())
}

/// Environment variable that disables spinning with the value `0`. A server inherits it from the
/// client that starts it.
pub(crate) const SPIN: &str = "SYSHANDLE_SPIN";

/// Whether spinning is enabled in this process.
static ALLOWED: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os(SPIN).is_none_or(|value| value != "0"));

/// Returns whether stopped connections retry at this time of the common clock.
fn is_time_to_try(uptime: Duration) -> bool {
    uptime.as_millis() % TRY_EACH_MS < TRY_FOR_MS
}

/// Approximate cost of sleeping and waking on an idle core.
const LIMIT: Duration = Duration::from_micros(50);

/// A poll with a yield takes a microsecond. If it takes longer than this, other threads had the
/// core.
const OTHERS: Duration = Duration::from_micros(10);

/// Number of consecutive crowded polls after which the thread sleeps. The core is busy then, so
/// sleeping costs little.
const CROWDED_MAX: u32 = 2;

/// Number of consecutive misses after which spinning stops. Several misses in a row are common when
/// other programs use the cores, because a thread that wakes late makes the other side miss too.
const MISSES_MAX: u32 = 16;

/// Period of retries in milliseconds.
const TRY_EACH_MS: u128 = 64;

/// Duration of each retry in milliseconds, at the start of a period. It suffices for some calls
/// even if both sides must first wake from the slowest sleep, and reduces the misses to a
/// sixteenth.
const TRY_FOR_MS: u128 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::run_once;

    #[test]
    fn misses_stop_spinning_and_a_hit_resumes_it() {
        run_once(|| {
            let spin = Spin { misses: 0.into() };
            let wait = |polls_before_the_message: u32| {
                let mut spin_wait = SpinWait { spin: &spin, next: Next::FirstPoll, polls: 0 };
                let polls =
                    (0..).take_while(|_| spin_wait.again()).take(polls_before_the_message as usize);
                if polls.count() == polls_before_the_message as usize {
                    spin_wait.hit();
                }
            };
            (0..2 * MISSES_MAX).for_each(|_| wait(u32::MAX));
            assert_eq!(spin.misses(), MISSES_MAX);
            // A message that the first poll finds doesn't change the state.
            wait(1);
            assert_eq!(spin.misses(), MISSES_MAX);
            wait(2);
            assert_eq!(spin.misses(), 0);
        });
    }

    #[test]
    fn all_connections_that_stopped_spinning_retry_at_the_same_time() {
        let tries = |ms| is_time_to_try(Duration::from_millis(ms));
        let count = (0..640).filter(|ms| tries(*ms)).count() as u128;
        assert_eq!(count, 10 * TRY_FOR_MS);
        assert!(tries(640) && !tries(700));
    }
}
