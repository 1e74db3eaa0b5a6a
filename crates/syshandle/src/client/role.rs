//! Who receives: of several threads that wait for replies one receives, for all, and the others
//! sleep. It passes that role on when what it waits for has come, or when it gives up.

use std::thread;
use std::time::Instant;

use super::connection::{Connection, State};
use super::ended::Ended;
use super::patience::Patience;
use super::receiving::Incoming;
use crate::Result;

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
        let this = thread::current();
        let _registered = patience.cancel.map(|cancel| cancel.register(&this));
        let mut state = self.state();
        let result = loop {
            if let Some(value) = done(&mut state, &patience) {
                break Ok(value);
            }
            if let Err(error) = patience.check_at(patience.now) {
                break Err(error);
            }
            if state.receiving {
                state.asleep.push(this.clone());
                drop(state);
                thread::park_timeout(patience.left());
                patience.now = Instant::now();
                state = self.state();
                state.asleep.retain(|thread| thread.id() != this.id());
            } else {
                state.receiving = true;
                drop(state);
                let received = self.receive(&mut patience);
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

    /// Receives one frame, when one is there and nobody else is at it; `false` when none is there.
    pub(super) fn receive_if_nobody_does(&self) -> bool {
        let mut state = self.state();
        if state.receiving {
            return true;
        }
        let now = Instant::now();
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
