//! The shared memory of a connection: when it is freed, and which ranges were read.

use std::sync::atomic::Ordering;

use syshandle_wire::{Body, Header};

use super::connection::{ServerConnection, ServerConnectionState, UNUSED_MEMORY};
use super::reactor::Reactor;
use super::timers::Timer;
use crate::link::ArenaRange;
use crate::sync::now;

impl ServerConnection {
    /// Sets a timer that frees the shared memory of replies. Called when a reply was sent through
    /// shared memory.
    pub(super) fn free_memory_later(&self, reactor: &Reactor) {
        if !self.frees_memory.load(Ordering::Relaxed)
            && !self.frees_memory.swap(true, Ordering::Relaxed)
        {
            reactor.timers.set(now() + UNUSED_MEMORY, Timer::FreeMemory(self.key()));
        }
    }

    /// Frees the shared memory of replies, or sets the timer again if the memory was used recently.
    pub(super) fn free_memory(&self, reactor: &Reactor) {
        let mut state = self.state();
        let taken_to = state.end.outgoing().end();
        let was_used = self.link.outgoing().was_used();
        if !was_used {
            self.link.outgoing().free_from(taken_to);
        }
        self.frees_memory.store(false, Ordering::Relaxed);
        drop(state);
        if was_used || taken_to > 0 {
            self.free_memory_later(reactor);
        }
    }

    /// Returns the bytes of a body in the client's shared memory, and their number.
    pub(super) fn range(&self, body: Body) -> (ArenaRange<'_>, usize) {
        self.link.range(body)
    }

    /// Releases a range of the client's shared memory that the server has read.
    pub(super) fn has_read(&self, body: Body) {
        let mut state = self.state();
        let release = state.end.has_read(body);
        self.release(&mut state, release);
    }

    /// Sends a frame that releases ranges of the client's shared memory, if they should not wait
    /// for the next reply.
    pub(super) fn release(&self, state: &mut ServerConnectionState, header: Option<Header>) {
        let Some(header) = header else { return };
        if self.link.send_header(&header).is_err() {
            state.end.unreleased(&header);
        }
    }
}
