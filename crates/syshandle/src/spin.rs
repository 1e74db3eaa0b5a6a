//! Looking for a message for a moment before going to sleep.
//!
//! To wake a core that idles costs tens of microseconds, more than most calls. So whoever waits
//! for a message looks again and again for up to [`LIMIT`], and only then sleeps. Where both sides
//! share a core that is in vain: nothing can come before the one who looks goes to sleep, so after
//! some times in vain it is only tried now and then, ever less often. It isn't left to
//! `sched_yield` to give the core to the other side: between processes of different sessions or
//! control groups, as a server and its clients are, that does nothing.

use std::hint;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Whether it pays to look, on one connection. A new one begins with what others have learned.
#[derive(Debug)]
pub(crate) struct Spin {
    /// How often in a row it didn't.
    misses: AtomicU32,
    /// How many waits begin with sleep before it is tried again.
    rest: AtomicU32,
    /// How many waits in a row slept for about as long as it takes to wake a core.
    wakings: AtomicU32,
}

/// A wait that has begun.
#[derive(Debug)]
pub(crate) struct Looking<'s> {
    spin: &'s Spin,
    until: Option<Instant>,
    looks: u32,
}

/// The misses of a connection that has learned nothing itself.
const UNKNOWN: u32 = u32::MAX;

/// What the connection that learned something last has learned: its misses.
static LEARNED: AtomicU32 = AtomicU32::new(0);

impl Default for Spin {
    fn default() -> Self {
        Self {
            misses: UNKNOWN.into(),
            rest: rest_after(LEARNED.load(Ordering::Relaxed)).into(),
            wakings: AtomicU32::new(0),
        }
    }
}

impl Spin {
    /// Begins a wait.
    pub(crate) fn start(&self) -> Looking<'_> {
        let rest = self.rest.load(Ordering::Relaxed);
        if rest > 0 {
            self.rest.store(rest - 1, Ordering::Relaxed);
        }
        let until = (rest == 0).then(|| Instant::now() + LIMIT);
        Looking { spin: self, until, looks: 0 }
    }

    fn learn(&self, misses: u32) {
        // Written only where it changes: the line that it is on belongs to all cores.
        if self.misses.swap(misses, Ordering::Relaxed) != misses {
            LEARNED.store(misses, Ordering::Relaxed);
        }
    }

    /// A wait slept for this long. When that is again and again about what it takes to wake a
    /// core, looking may have begun to pay. Once means little: it is also what a look of the other
    /// side's takes, which shares a core with this one, or the turn of others where there are more
    /// threads than cores. The more often it was in vain, the more is asked for.
    pub(crate) fn slept(&self, time: Duration) {
        let before = self.wakings.load(Ordering::Relaxed);
        let wakings = match (WAKING..10 * LIMIT).contains(&time) {
            true => before.saturating_add(1),
            false => before / 2,
        };
        self.wakings.store(wakings, Ordering::Relaxed);
        let vain = times_vain(self.misses.load(Ordering::Relaxed));
        if wakings >= WAKINGS_MIN << vain.min(WAKINGS_DOUBLED_MAX) {
            self.wakings.store(0, Ordering::Relaxed);
            self.rest.store(0, Ordering::Relaxed);
        }
    }
}

impl Looking<'_> {
    /// Passes some time; whether to look after that, or to sleep.
    pub(crate) fn again(&mut self) -> bool {
        let Some(until) = self.until else { return false };
        self.looks += 1;
        if self.looks == 1 {
            return true;
        }
        for _ in 0..PAUSES {
            hint::spin_loop();
        }
        if Instant::now() < until {
            return true;
        }
        self.until = None;
        let known = match self.spin.misses.load(Ordering::Relaxed) {
            UNKNOWN => LEARNED.load(Ordering::Relaxed),
            misses => misses,
        };
        let misses = (known + 1).min(MISSES_MAX + REST_DOUBLED_MAX);
        self.spin.learn(misses);
        self.spin.rest.store(rest_after(misses), Ordering::Relaxed);
        false
    }

    /// It came. What was there at the first look came before it: from the same core, which the
    /// other side had while this one waited for it.
    pub(crate) fn came(&self) {
        if self.looks > 1 {
            self.spin.learn(0);
        }
    }
}

/// How many waits begin with sleep after so many looks in vain.
fn rest_after(misses: u32) -> u32 {
    match misses < MISSES_MAX {
        true => 0,
        false => SHORT_REST << times_vain(misses),
    }
}

/// How often it was tried again, in vain.
fn times_vain(misses: u32) -> u32 {
    misses.saturating_sub(MISSES_MAX).min(REST_DOUBLED_MAX)
}

/// About what it costs to go to sleep and be woken, on a core that idles.
const LIMIT: Duration = Duration::from_micros(50);

/// Who shares a core with the other side sleeps for less, also when others want that core.
const WAKING: Duration = Duration::from_micros(40);

/// So many such sleeps in a row are no accident.
const WAKINGS_MIN: u32 = 8;

/// And for twice as many each time, up to this power of two.
const WAKINGS_DOUBLED_MAX: u32 = 3;

/// A look takes a third of a microsecond, and keeps the other side from the socket: so much again
/// passes between two.
const PAUSES: u32 = 10;

/// After so many times in vain it is left for a while.
const MISSES_MAX: u32 = 3;

/// For so many waits at first.
const SHORT_REST: u32 = 32;

/// And for twice as many each time, up to this power of two.
const REST_DOUBLED_MAX: u32 = 6;
