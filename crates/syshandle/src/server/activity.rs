//! What keeps a server alive.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::sync::atomic::{AtomicU64, AtomicUsize};

/// How much there is: clients that are connected, and work that goes on.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Both counts in one number, work in its lower half: what goes over from one to the other is
    /// never seen in neither.
    held: AtomicU64,
    ended: AtomicUsize,
    ended_at_last_look: AtomicUsize,
}

/// A part of it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    activity: Arc<Activity>,
    what: What,
}

/// What has gone on for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing, and there are no clients.
    Idle,
    /// Nothing, but there are clients.
    Quiet,
    /// Something.
    Busy,
}

/// What kind of part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Somebody who could call: a connection, a door.
    Presence,
    /// A method that runs, a job that waits.
    Work,
}

impl Activity {
    pub(crate) fn hold(self: &Arc<Self>, what: What) -> Hold {
        self.held.fetch_add(what.one(), Ordering::SeqCst);
        Hold { activity: self.clone(), what }
    }

    /// Nobody is there, and nothing goes on.
    pub(crate) fn is_idle(&self) -> bool {
        self.held.load(Ordering::SeqCst) == 0
    }

    /// How many could call.
    pub(crate) fn presence(&self) -> usize {
        (self.held.load(Ordering::SeqCst) / What::Presence.one()) as usize
    }

    /// Something goes on.
    pub(crate) fn is_working(&self) -> bool {
        !self.held.load(Ordering::SeqCst).is_multiple_of(What::Presence.one())
    }

    /// What has gone on since the last look.
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
    /// What one of these adds to the number.
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
