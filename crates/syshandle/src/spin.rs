//! Looking for a message for a moment before going to sleep.
//!
//! To wake a core that idles costs tens of microseconds on a virtual machine, more than most calls.
//! So whoever waits for a message from another core looks for it again and again, for up to
//! [`LIMIT`], and only then sleeps. Between two looks it yields, to other threads of its program
//! that may want the core; when one did, it sleeps.
//!
//! Where both sides share a core that is in vain: nothing can come before the one who looks goes to
//! sleep. To yield doesn't help there, because between sessions or control groups, such as a server
//! and its clients are in, it doesn't give the core away (with the scheduler's autogroups: seen in
//! a trace, eleven yields in a row with the other side ready to run). So each frame says where its
//! sender ran ([`Whereabouts`]), and who shares that core sleeps at once.
//!
//! A peer that takes longer each time isn't worth it either: after some times in vain looking is
//! left, and tried again now and then. Both sides have to try at the same time, since one that
//! sleeps is too slow for the other to see it come: so all processes do in the same milliseconds, by
//! a clock that they share. (When each tried for itself, two sides that had once left it, where the
//! machine was slow for a moment, never came together again: W3 stayed at 750 µs instead of 50.)
//!
//! `SYSHANDLE_SPIN=0` in the environment of a process turns it off there.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use syshandle_wire::Whereabouts;

use crate::sync::{now, thread, uptime};

/// Whether it pays to look, on one connection. A new one begins with what others have learned.
#[derive(Debug)]
pub(crate) struct Spin {
    /// How often in a row it didn't.
    misses: AtomicU32,
}

/// A wait that has begun.
#[derive(Debug)]
pub(crate) struct Looking<'s> {
    spin: &'s Spin,
    next: Next,
    looks: u32,
}

/// What whoever waits does next.
#[derive(Clone, Copy, Debug)]
enum Next {
    FirstLook,
    Look {
        since: Instant,
        until: Instant,
        /// How often in a row others have had the core since the look before.
        crowded: u32,
    },
    /// One more look, at what came while others had the core or the time ran out.
    LastLook,
    Sleep,
}

/// The misses of a connection that has learned nothing itself.
const UNKNOWN: u32 = u32::MAX;

/// What the connection that learned something last has learned: its misses.
static LEARNED: AtomicU32 = AtomicU32::new(0);

impl Default for Spin {
    fn default() -> Self {
        Self { misses: UNKNOWN.into() }
    }
}

impl Spin {
    /// Begins a wait for something from a thread that ran at `peer`.
    pub(crate) fn start(&self, peer: Whereabouts) -> Looking<'_> {
        let pays = *ALLOWED
            && peer.is(here()) == Some(false)
            && (self.misses() < MISSES_MAX || is_time_to_try(uptime()));
        let next = if pays { Next::FirstLook } else { Next::Sleep };
        Looking { spin: self, next, looks: 0 }
    }

    fn misses(&self) -> u32 {
        match self.misses.load(Ordering::Relaxed) {
            UNKNOWN => LEARNED.load(Ordering::Relaxed),
            misses => misses,
        }
    }

    fn learn(&self, misses: u32) {
        // Written only where it changes: the line that it is on belongs to all cores.
        if self.misses.load(Ordering::Relaxed) != misses {
            self.misses.store(misses, Ordering::Relaxed);
            LEARNED.store(misses, Ordering::Relaxed);
        }
    }
}

impl Looking<'_> {
    /// Passes some time; whether to look after that, or to sleep.
    pub(crate) fn again(&mut self) -> bool {
        self.next = match self.next {
            Next::FirstLook => {
                let since = now();
                Next::Look { since, until: since + LIMIT, crowded: 0 }
            }
            Next::Look { since, until, crowded } => {
                // As long as a look takes: without a pause it keeps the other side from the socket.
                thread::yield_now();
                let now = now();
                let passed = now - since;
                // What others take isn't spent looking.
                let (until, crowded) = match passed > OTHERS {
                    true => (until + passed, crowded + 1),
                    false => (until, 0),
                };
                match now >= until || crowded == CROWDED_MAX {
                    true => Next::LastLook,
                    false => Next::Look { since: now, until, crowded },
                }
            }
            Next::LastLook => {
                self.in_vain();
                Next::Sleep
            }
            Next::Sleep => Next::Sleep,
        };
        self.looks += 1;
        !matches!(self.next, Next::Sleep)
    }

    fn in_vain(&self) {
        self.spin.learn((self.spin.misses() + 1).min(MISSES_MAX));
    }

    /// It came. What was there at the first look says nothing: it would have been there anyway.
    pub(crate) fn came(&self) {
        if self.looks > 1 {
            self.spin.learn(0);
        }
    }
}

/// Where this thread runs.
pub(crate) fn here() -> Whereabouts {
    Whereabouts::on_core(syshandle_os::current_core())
}

/// The variable of the environment that turns it off: `0`. Servers have it from who starts them.
pub(crate) const SPIN: &str = "SYSHANDLE_SPIN";

/// Whether this process looks at all.
static ALLOWED: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os(SPIN).is_none_or(|value| value != "0"));

/// Whether those who have left it try again at this time of the clock that all processes share.
fn is_time_to_try(uptime: Duration) -> bool {
    uptime.as_millis() % TRY_EACH_MS < TRY_FOR_MS
}

/// About what it costs to go to sleep and be woken, on a core that idles.
const LIMIT: Duration = Duration::from_micros(50);

/// A look and a yield take a microsecond: in more than this others have had the core.
const OTHERS: Duration = Duration::from_micros(10);

/// So often in a row is no accident: the core won't idle, so to sleep costs little.
const CROWDED_MAX: u32 = 2;

/// After so many times in vain it is left. Where other programs want the cores too, several in a row
/// are no rarity: one that is woken late has the other side look in vain as well.
const MISSES_MAX: u32 = 16;

/// Of so many milliseconds …
const TRY_EACH_MS: u128 = 64;

/// … those who have left it try again in the first ones: some calls, where even the slowest sleep of
/// both sides is waited for; and a sixteenth of the looks in vain that there would be otherwise.
const TRY_FOR_MS: u128 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::run_once;

    #[test]
    fn who_looks_in_vain_leaves_it_and_what_comes_lets_it_look_again() {
        run_once(|| {
            let spin = Spin { misses: 0.into() };
            let look = |until_it_comes: u32| {
                let mut looking = Looking { spin: &spin, next: Next::FirstLook, looks: 0 };
                let looks = (0..).take_while(|_| looking.again()).take(until_it_comes as usize);
                if looks.count() == until_it_comes as usize {
                    looking.came();
                }
            };
            (0..2 * MISSES_MAX).for_each(|_| look(u32::MAX));
            assert_eq!(spin.misses(), MISSES_MAX);
            // What was there at once would have been there anyway.
            look(1);
            assert_eq!(spin.misses(), MISSES_MAX);
            look(2);
            assert_eq!(spin.misses(), 0);
        });
    }

    #[test]
    fn all_who_have_left_it_try_again_at_the_same_time() {
        let tries = |ms| is_time_to_try(Duration::from_millis(ms));
        let count = (0..640).filter(|ms| tries(*ms)).count() as u128;
        assert_eq!(count, 10 * TRY_FOR_MS);
        assert!(tries(640) && !tries(700));
    }
}
