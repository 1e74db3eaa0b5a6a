//! Which methods take long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The methods that took long the last time: whoever runs one again lets another thread receive
/// before, so that nobody waits for the sentinel twice. One bit for each of the first ones.
#[derive(Default)]
pub(super) struct SlowMethods(AtomicU64);

impl SlowMethods {
    pub(super) fn get(&self, method: u32) -> bool {
        self.0.load(Ordering::Relaxed) & Self::bit(method) != 0
    }

    pub(super) fn set(&self, method: u32, slow: bool) {
        match slow {
            true => self.0.fetch_or(Self::bit(method), Ordering::Relaxed),
            false => self.0.fetch_and(!Self::bit(method), Ordering::Relaxed),
        };
    }

    fn bit(method: u32) -> u64 {
        1_u64.checked_shl(method).unwrap_or(0)
    }
}

/// A method that takes this long is worth waking another thread for what its own would do meanwhile.
pub(super) const SLOW: Duration = Duration::from_millis(1);
