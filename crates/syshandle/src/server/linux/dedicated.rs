//! A thread that is dedicated to one client, which calls repeatedly.
//!
//! The thread sleeps in the system call that receives, which is the cheapest way to wait, and has
//! given its loop to another thread. Only such a thread receives several frames at once and batches
//! replies, because no other client waits for it.

use std::sync::Arc;
use std::time::Duration;

use super::connection::ServerConnection;
use super::inbox::Crowd;
use super::reactor::Reactor;
use super::receiving::{RunOutcome, ServerEvent};
use super::watchdog::{Assignment, WorkerSlot};

impl ServerConnection {
    /// Dedicates this thread to this client, which calls repeatedly, and has another thread run the
    /// loop. Returns `false` if that is not possible now. Otherwise returns `true` when the client
    /// has not called for some milliseconds, replies are pending, or there is more to wait for than
    /// a dedicated thread can.
    pub(crate) fn dedicate(
        self: Arc<Self>,
        reactor: &Arc<Reactor>,
        index: usize,
        slot: &WorkerSlot,
    ) -> bool {
        if self.session.tasks() > 0 || !reactor.workers.has_another() {
            return false;
        }
        let Some(_dedicated) = reactor.dedicate_thread() else { return false };
        if !self.inbox.is_empty() {
            return false;
        }
        let mut state = self.state();
        if !self.leave_loop(&mut state, reactor) {
            return false;
        }
        state.dedicated = true;
        drop(state);
        slot.assign(Assignment::Client(self.clone()));
        let mut stays = reactor.workers.hand_over(reactor, index).is_ok();
        let mut crowd = Crowd::new();
        while stays && !reactor.is_stopped() {
            if self.batches_replies() && self.inbox.is_empty() && !self.send_batch_when_idle() {
                break;
            }
            stays = match self.receive_soon(reactor, slot, &mut crowd) {
                ServerEvent::Call(work) => {
                    if matches!(self.run(work, reactor, slot), RunOutcome::Lost) {
                        return true;
                    }
                    self.has_only_calls()
                }
                ServerEvent::Other => self.has_only_calls(),
                ServerEvent::End => {
                    slot.assign(Assignment::Nothing);
                    let _ = self.let_go(reactor, slot);
                    return true;
                }
                ServerEvent::Lost => return true,
                ServerEvent::None => false,
            };
            reactor.check_idle();
        }
        slot.give_up(reactor);
        true
    }

    /// Returns whether the thread has to wait for nothing but calls of this client: no reply is
    /// pending, and no background task waits for an object.
    fn has_only_calls(&self) -> bool {
        self.state().pending.is_empty() && self.session.tasks() == 0
    }

    /// Receives a frame within some milliseconds: spins for a short time and then sleeps.
    fn receive_soon(
        self: &Arc<Self>,
        reactor: &Arc<Reactor>,
        slot: &WorkerSlot,
        crowd: &mut Crowd,
    ) -> ServerEvent {
        let count = if self.inbox.is_empty() { crowd.count() } else { 1 };
        let mut receive = |timeout| match count {
            1 => self.receive(reactor, slot, timeout),
            _ => self.receive_several(reactor, slot, timeout, (count, crowd)),
        };
        let mut spin_wait = self.start_spinning();
        while spin_wait.again() {
            let frame = receive(None);
            if !matches!(frame, ServerEvent::None) {
                spin_wait.hit();
                return frame;
            }
        }
        receive(Some(DEDICATED_FOR))
    }

    /// Receives all waiting frames, up to `count`, and handles the first one.
    #[inline(never)]
    fn receive_several(
        self: &Arc<Self>,
        reactor: &Arc<Reactor>,
        slot: &WorkerSlot,
        timeout: Option<Duration>,
        (count, crowd): (usize, &mut Crowd),
    ) -> ServerEvent {
        let received = self.inbox.receive(&self.session.quota, count, |batch, count| {
            self.link.receive_several(batch, count, timeout)
        });
        match received {
            None => self.receive(reactor, slot, timeout),
            Some(Ok(found)) => {
                crowd.found(found);
                self.receive(reactor, slot, None)
            }
            Some(Err(error)) => self.not_received(reactor, &error),
        }
    }
}

/// How long a thread stays dedicated to a client after a call.
const DEDICATED_FOR: Duration = Duration::from_millis(5);
