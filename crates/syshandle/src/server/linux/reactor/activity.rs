//! Counts the reasons to keep a server alive.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::sync::atomic::{AtomicU64, AtomicUsize};

/// Counts the connected clients and the running work of a server.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Both counts in one atomic, with the work in the lower 32 bits. A reader sees both at once,
    /// so an item that changes from one count to the other is never missing from both.
    counts: AtomicU64,
    ended: AtomicUsize,
    ended_at_last_look: AtomicUsize,
}

/// Keeps the server alive: counts as one client or one piece of work until dropped.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    activity: Arc<Activity>,
    kind: ActivityKind,
}

/// The activity of a server since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActivityLevel {
    /// Nothing has ended since the last look, no work runs, and no clients are connected.
    Idle,
    /// Nothing has ended since the last look and no work runs, but clients are connected.
    Quiet,
    /// Work runs, or something has ended since the last look.
    Busy,
}

/// The kind of activity that a [`KeepAlive`] counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActivityKind {
    /// A peer that could call: a connection or a door.
    Presence,
    /// A running method or a background task.
    Work,
}

impl Activity {
    pub(crate) fn keep_alive(self: &Arc<Self>, kind: ActivityKind) -> KeepAlive {
        self.counts.fetch_add(kind.one(), Ordering::SeqCst);
        KeepAlive { activity: self.clone(), kind }
    }

    /// Keeps the server alive, unless it ends already because it was idle.
    pub(crate) fn try_keep_alive(self: &Arc<Self>, kind: ActivityKind) -> Option<KeepAlive> {
        let keep_alive = self.keep_alive(kind);
        (self.counts.load(Ordering::SeqCst) & CLOSED == 0).then_some(keep_alive)
    }

    /// Ends the activity for ever if no client is connected and no work runs. Returns whether it
    /// has ended.
    pub(crate) fn close_if_idle(&self) -> bool {
        let order = Ordering::SeqCst;
        match self.counts.load(order) {
            0 => self.counts.compare_exchange(0, CLOSED, order, order).is_ok(),
            counts => counts == CLOSED,
        }
    }

    /// Returns whether no client is connected and no work runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.counts.load(Ordering::SeqCst) & !CLOSED == 0
    }

    /// Returns the number of connections and doors.
    pub(crate) fn presence(&self) -> usize {
        let counts = self.counts.load(Ordering::SeqCst) & !CLOSED;
        (counts / ActivityKind::Presence.one()) as usize
    }

    /// Returns whether work runs.
    pub(crate) fn is_working(&self) -> bool {
        self.counts.load(Ordering::SeqCst) % ActivityKind::Presence.one() != 0
    }

    /// Returns the activity since the last look.
    pub(crate) fn look(&self) -> ActivityLevel {
        let ended = self.ended.load(Ordering::SeqCst);
        match self.ended_at_last_look.swap(ended, Ordering::SeqCst) == ended {
            true if self.is_idle() => ActivityLevel::Idle,
            true if !self.is_working() => ActivityLevel::Quiet,
            _ => ActivityLevel::Busy,
        }
    }
}

impl ActivityKind {
    /// Returns the amount that one guard adds to the combined count.
    fn one(self) -> u64 {
        match self {
            Self::Work => 1,
            Self::Presence => 1 << 32,
        }
    }
}

/// The bit of [`Activity::counts`] that marks a server that ends because it was idle.
const CLOSED: u64 = 1 << 63;

impl Drop for KeepAlive {
    fn drop(&mut self) {
        self.activity.ended.fetch_add(1, Ordering::SeqCst);
        self.activity.counts.fetch_sub(self.kind.one(), Ordering::SeqCst);
    }
}
