//! Looking again for a moment before going to sleep.
//!
//! Waking an idle core costs tens of microseconds, more than most calls. So whoever waits for a
//! message looks, gives the core to whoever else wants it (`sched_yield`), and looks again, for up
//! to [`LIMIT`]; and only then sleeps. Where both sides share a core, giving it up *is* what lets
//! the other side answer. Where it didn't pay several times, it is only tried now and then.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Whether it pays to look again, on one connection.
#[derive(Debug, Default)]
pub(crate) struct Spin {
    /// How often in a row it didn't.
    misses: AtomicU32,
}

/// A wait that has begun.
#[derive(Debug)]
pub(crate) struct Looking<'s> {
    spin: &'s Spin,
    until: Option<Instant>,
}

impl Spin {
    /// Begins a wait.
    pub(crate) fn start(&self) -> Looking<'_> {
        let misses = self.misses.load(Ordering::Relaxed);
        let pays = misses < MISSES_MAX || misses.is_multiple_of(TRY_EVERY);
        if !pays {
            self.misses.store(misses.wrapping_add(1).max(MISSES_MAX), Ordering::Relaxed);
        }
        Looking { spin: self, until: pays.then(|| Instant::now() + LIMIT) }
    }
}

impl Looking<'_> {
    /// Gives the core to others; whether to look again after that, or to sleep.
    pub(crate) fn again(&mut self) -> bool {
        let Some(until) = self.until else { return false };
        thread::yield_now();
        if Instant::now() < until {
            return true;
        }
        self.until = None;
        let misses = self.spin.misses.load(Ordering::Relaxed);
        self.spin.misses.store(misses.wrapping_add(1).max(1), Ordering::Relaxed);
        // One last look.
        true
    }

    /// It came while looking.
    pub(crate) fn paid(&self) {
        if self.until.is_some() {
            self.spin.misses.store(0, Ordering::Relaxed);
        }
    }
}

/// About what it costs to go to sleep and be woken.
const LIMIT: Duration = Duration::from_micros(50);

/// After so many times in vain it is only tried now and then.
const MISSES_MAX: u32 = 4;

/// That is, every so many times.
const TRY_EVERY: u32 = 64;
