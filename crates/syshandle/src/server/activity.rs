//! Counts the reasons to keep a server alive.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::sync::atomic::{AtomicU64, AtomicUsize};

/// Counts the connected clients and the running work of a server.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Both counts in one atomic, with the work in the lower 32 bits. A reader sees both at once,
    /// so an item that changes from one count to the other is never missing from both.
    held: AtomicU64,
    ended: AtomicUsize,
    ended_at_last_look: AtomicUsize,
}

/// Keeps the server alive: counts as one client or one piece of work until dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    activity: Arc<Activity>,
    what: What,
}

/// The activity of a server since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing has ended since the last look, no work runs, and no clients are connected.
    Idle,
    /// Nothing has ended since the last look and no work runs, but clients are connected.
    Quiet,
    /// Work runs, or something has ended since the last look.
    Busy,
}

/// What a [`Hold`] counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A peer that could call: a connection or a door.
    Presence,
    /// A running method or a background task.
    Work,
}

impl Activity {
    pub(crate) fn hold(self: &Arc<Self>, what: What) -> Hold {
        self.held.fetch_add(what.one(), Ordering::SeqCst);
        Hold { activity: self.clone(), what }
    }

    /// Returns whether no client is connected and no work runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.held.load(Ordering::SeqCst) == 0
    }

    /// Returns the number of connections and doors.
    pub(crate) fn presence(&self) -> usize {
        (self.held.load(Ordering::SeqCst) / What::Presence.one()) as usize
    }

    /// Returns whether work runs.
    pub(crate) fn is_working(&self) -> bool {
        !self.held.load(Ordering::SeqCst).is_multiple_of(What::Presence.one())
    }

    /// Returns the activity since the last look.
    pub(crate) fn look(&self) -> Look {
        let ended = self.ended.load(Ordering::SeqCst);
        match self.ended_at_last_look.swap(ended, Ordering::SeqCst) == ended {
            true if self.is_idle() => Look::Idle,
            true if !self.is_working() => Look::Quiet,
            _ => Look::Busy,
        }
    }
}

impl What {
    /// Returns the amount that one hold adds to the combined count.
    fn one(self) -> u64 {
        match self {
            Self::Work => 1,
            Self::Presence => 1 << 32,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.activity.ended.fetch_add(1, Ordering::SeqCst);
        self.activity.held.fetch_sub(self.what.one(), Ordering::SeqCst);
    }
}
