//! Who receives: of several threads that wait for replies one receives, for all, and the others
//! sleep. It passes that role on when what it waits for has come, or when it gives up.

use std::time::Duration;

use super::connection::{Connection, State};
use super::ended::Ended;
use super::patience::Patience;
use super::receiving::Incoming;
use crate::Result;
use crate::sync::{now, thread};

impl Connection {
    /// Waits until `done` says so, receiving for all who wait or asleep until something happened.
    ///
    /// # Errors
    /// The time was over, or the call was cancelled.
    pub(super) fn wait<T>(
        &self,
        mut patience: Patience<'_>,
        mut done: impl FnMut(&mut State, &Patience<'_>) -> Option<T>,
    ) -> Result<T> {
        let _registered = patience.cancel.map(|cancel| cancel.register(&thread::current()));
        let mut state = self.state();
        let result = loop {
            if let Some(value) = done(&mut state, &patience) {
                break Ok(value);
            }
            if let Err(error) = patience.check_at(patience.now) {
                break Err(error);
            }
            if state.receiving {
                let this = thread::current();
                state.asleep.push(this.clone());
                drop(state);
                thread::park_timeout(patience.left());
                patience.now = now();
                state = self.state();
                state.asleep.retain(|thread| thread.id() != this.id());
            } else {
                state.receiving = true;
                // Asked only where somebody is queued at all.
                let is_this = |queued: &thread::Thread| queued.id() == thread::current().id();
                let is_queued = state.queue.iter().any(is_this);
                drop(state);
                let received = match is_queued {
                    true => self.receive_for_a_while(&mut patience),
                    false => self.receive(&mut patience),
                };
                state = self.state();
                state.receiving = false;
                self.take_in(&mut state, received);
            }
        };
        // Whoever is left may have to receive now, or may start the call that it couldn't.
        if !state.receiving
            && let Some(next) = state.asleep.pop()
        {
            next.unpark();
        }
        result
    }

    /// Waits for one frame as a call that can't start yet: what it waits for may come without one,
    /// when another call gives up its place.
    fn receive_for_a_while(&self, patience: &mut Patience<'_>) -> Incoming {
        let deadline = patience.deadline.min(patience.now + LOOK_AGAIN);
        let mut a_while = Patience { deadline, ..*patience };
        let received = self.receive(&mut a_while);
        patience.now = a_while.now;
        received
    }

    /// Receives one frame, when one is there and nobody else is at it; `false` when none is there.
    pub(super) fn receive_if_nobody_does(&self) -> bool {
        let mut state = self.state();
        if state.receiving {
            return true;
        }
        let now = now();
        let received = self.receive(&mut Patience { now, deadline: now, cancel: None });
        let something = !matches!(received, Incoming::NotYet);
        self.take_in(&mut state, received);
        something
    }

    /// The server is gone: what it said before tells why.
    pub(super) fn last_words(&self) -> Ended {
        loop {
            if let Some(ended) = &self.state().ended {
                return ended.clone();
            }
            if !self.receive_if_nobody_does() {
                // It says no more, not even that it ended.
                return Ended::Died;
            }
            thread::yield_now();
        }
    }
}

/// How long it takes at the most until a call that can't start notices that it can, where nobody
/// can wake it. More than the shortest wait of the kernel's own, which costs least.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
