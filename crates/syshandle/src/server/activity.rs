//! What keeps a server alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much there is: clients that are connected, and work that goes on.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    presence: AtomicUsize,
    work: AtomicUsize,
    ended: AtomicUsize,
    ended_at_last_look: AtomicUsize,
}

/// A part of it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    activity: Arc<Activity>,
    what: What,
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
        self.counter(what).fetch_add(1, Ordering::SeqCst);
        Hold { activity: self.clone(), what }
    }

    /// Nobody is there, and nothing goes on.
    pub(crate) fn is_idle(&self) -> bool {
        self.presence() == 0 && !self.is_working()
    }

    /// How many could call.
    pub(crate) fn presence(&self) -> usize {
        self.presence.load(Ordering::SeqCst)
    }

    /// Something goes on.
    pub(crate) fn is_working(&self) -> bool {
        self.work.load(Ordering::SeqCst) > 0
    }

    /// Nobody is there, and nobody was since this was asked before.
    pub(crate) fn is_idle_since_last_look(&self) -> bool {
        let ended = self.ended.load(Ordering::SeqCst);
        self.ended_at_last_look.swap(ended, Ordering::SeqCst) == ended && self.is_idle()
    }

    fn counter(&self, what: What) -> &AtomicUsize {
        match what {
            What::Presence => &self.presence,
            What::Work => &self.work,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.activity.ended.fetch_add(1, Ordering::SeqCst);
        self.activity.counter(self.what).fetch_sub(1, Ordering::SeqCst);
    }
}
