//! Which methods take long, and which are quick.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long methods took the last time. Whoever runs one again that took long lets another thread
/// receive before, so that nobody waits for the sentinel twice; and replies may wait for those of
/// methods that were quick. One bit for each of the first ones.
#[derive(Default)]
pub(super) struct SlowMethods {
    slow: AtomicU64,
    quick: AtomicU64,
}

impl SlowMethods {
    /// Whether it took long.
    pub(super) fn get(&self, method: u32) -> bool {
        is_set(&self.slow, bit(method))
    }

    /// Whether it was quick: not of one that hasn't run yet.
    pub(super) fn is_quick(&self, method: u32) -> bool {
        is_set(&self.quick, bit(method))
    }

    /// It took so long.
    #[inline]
    pub(super) fn learn(&self, method: u32, took: Duration) {
        let (bit, is_slow, is_quick) = (bit(method), took >= SLOW, took < QUICK);
        // Written only where it changes.
        if is_set(&self.slow, bit) != is_slow || is_set(&self.quick, bit) != is_quick {
            set(&self.slow, bit, is_slow);
            set(&self.quick, bit, is_quick);
        }
    }
}

fn is_set(bits: &AtomicU64, bit: u64) -> bool {
    bits.load(Ordering::Relaxed) & bit != 0
}

#[cold]
fn set(bits: &AtomicU64, bit: u64, to: bool) {
    match to {
        true => bits.fetch_or(bit, Ordering::Relaxed),
        false => bits.fetch_and(!bit, Ordering::Relaxed),
    };
}

fn bit(method: u32) -> u64 {
    1_u64.checked_shl(method).unwrap_or(0)
}

/// A method that takes this long is worth waking another thread for what its own would do meanwhile.
const SLOW: Duration = Duration::from_millis(1);

/// One that takes less is worth waiting for, with a reply: some times what it costs to send that.
const QUICK: Duration = Duration::from_micros(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_time_counts_and_nothing_is_known_of_what_has_not_run() {
        let methods = SlowMethods::default();
        let known = |method| (methods.get(method), methods.is_quick(method));
        assert_eq!(known(3), (false, false));
        methods.learn(3, Duration::from_micros(5));
        assert_eq!(known(3), (false, true));
        methods.learn(3, Duration::from_micros(500));
        assert_eq!(known(3), (false, false));
        methods.learn(3, Duration::from_millis(5));
        assert_eq!(known(3), (true, false));
        methods.learn(64, Duration::from_micros(5));
        assert_eq!(known(64), (false, false), "there is no bit for it");
        assert_eq!(known(0), (false, false));
    }
}
