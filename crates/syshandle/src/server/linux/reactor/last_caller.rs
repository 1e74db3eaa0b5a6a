//! Which client of a loop called last, and whether it calls alone.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::sync::{judged_by, often};

/// The client whose call was the last one in a loop.
pub(super) struct LastCaller<C: ?Sized> {
    client: Option<Weak<C>>,
    /// Number of consecutive calls of this client, with no activity of others in the loop.
    calls: u32,
    /// Number of consecutive times that a different client called and its method took at least
    /// [`WORTH_A_MOVE`].
    waits: u32,
}

impl<C: ?Sized> Default for LastCaller<C> {
    fn default() -> Self {
        Self { client: None, calls: 0, waits: 0 }
    }
}

impl<C: ?Sized> LastCaller<C> {
    /// Records a call. Returns whether its client should move to an idle loop, because clients of
    /// this loop repeatedly delay each other.
    pub(super) fn called(&mut self, client: &Arc<C>, alone: bool, took: Duration) -> bool {
        let is_same = |last: &Weak<_>| std::ptr::addr_eq(last.as_ptr(), Arc::as_ptr(client));
        let same = self.client.as_ref().is_some_and(is_same);
        if !same {
            self.client = Some(Arc::downgrade(client));
        }
        self.count(same, alone, took)
    }

    /// Records that the thread did other work.
    pub(super) fn other_work(&mut self) {
        self.calls = 0;
    }

    /// Returns the client, unless its connection has ended.
    pub(super) fn client(&self) -> Option<Arc<C>> {
        self.client.as_ref()?.upgrade()
    }

    /// Returns the client if it has called often enough for a dedicated thread.
    pub(super) fn calls_often(&self) -> Option<Arc<C>> {
        (self.calls >= DEDICATE_AFTER).then(|| self.client())?
    }

    fn count(&mut self, same: bool, alone: bool, took: Duration) -> bool {
        self.calls = if same && alone { self.calls + 1 } else { 0 };
        if same {
            return false;
        }
        self.waits = if took >= WORTH_A_MOVE { self.waits + 1 } else { 0 };
        self.waits >= MOVE_AFTER && std::mem::take(&mut self.waits) > 0
    }
}

/// Waiting for a shorter method costs no more than waking another thread.
const WORTH_A_MOVE: Duration = judged_by(Duration::from_micros(50));

/// Number of consecutive calls, each of a different client than the one before, after which a
/// client moves.
const MOVE_AFTER: u32 = 8;

/// Number of consecutive calls of one client alone after which a thread is dedicated to it.
/// Starting and ending this costs as much as several calls.
const DEDICATE_AFTER: u32 = often(16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_repeatedly_slow_methods_move_to_workers() {
        let (quick, long) = (Duration::from_micros(5), Duration::from_micros(500));
        let mut caller = LastCaller::<()>::default();
        // A client that is alone may run long methods.
        assert!((0..100).all(|_| !caller.count(true, true, long)));
        assert!(caller.calls >= DEDICATE_AFTER);
        assert!((0..100).all(|_| !caller.count(false, false, quick)));
        let moves = (0..3 * MOVE_AFTER).filter(|_| caller.count(false, true, long)).count();
        assert_eq!(moves, 3);
        assert_eq!(caller.calls, 0);
    }
}
