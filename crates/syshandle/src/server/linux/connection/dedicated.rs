//! A thread that is dedicated to one client, which calls repeatedly.
//!
//! The thread sleeps in the system call that receives, which is the cheapest way to wait, and has
//! given its loop to another thread. Only such a thread receives several frames at once and batches
//! replies, because no other client waits for it.

use std::sync::Arc;
use std::time::Duration;

use super::ServerConnection;
use super::inbox::Crowd;
use super::receiving::{RunOutcome, ServerEvent};
use crate::server::linux::reactor::Reactor;
use crate::server::linux::reactor::event_loop::{EventLoop, LoopClient, LoopContext};
use crate::server::linux::reactor::worker_slot::Assignment;
use crate::spin::SpinWait;
use crate::sync::judged_by;

impl LoopClient for ServerConnection {
    fn dedicate(self: Arc<Self>, context: LoopContext<'_>, index: usize) -> bool {
        let LoopContext { reactor, slot } = context;
        if self.session.tasks() > 0 || !self.inbox.is_empty() {
            return false;
        }
        let Some(_dedicated) = reactor.dedicate_thread() else { return false };
        let mut shared = self.shared();
        if shared.outbox.has_pending() || self.streams.wants_room() || !shared.state.dedicate() {
            return false;
        }
        self.remove_from_poller(reactor);
        drop(shared);
        slot.assign(Assignment::Client(self.clone()));
        let mut stays = reactor.hand_over(index).is_ok();
        let mut crowd = Crowd::new();
        while stays && !reactor.is_stopped() {
            if self.inbox.is_empty() && crowd.is_many() && !self.send_batch_when_idle() {
                break;
            }
            stays = match self.receive_soon(context, &mut crowd) {
                ServerEvent::Call(work) => {
                    if matches!(self.run(work, context), RunOutcome::Lost) {
                        return true;
                    }
                    self.has_only_calls()
                }
                ServerEvent::Other => self.has_only_calls(),
                ServerEvent::End => {
                    slot.assign(Assignment::Nothing);
                    let _ = self.let_go(context);
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

    fn return_to_loop(&self, reactor: &Arc<Reactor>) {
        let mut shared = self.shared();
        shared.state.return_to_loop();
        shared.send_batch(self);
        self.watch_in_loop(shared, reactor);
    }

    fn move_to(self: Arc<Self>, to: &EventLoop, reactor: &Arc<Reactor>) {
        ServerConnection::move_to(&self, to, reactor);
    }

    fn start_spinning(&self) -> SpinWait<'_> {
        self.spin.start(self.link.peer())
    }
}

impl ServerConnection {
    /// Returns whether the thread has to wait for nothing but calls of this client: no reply is
    /// pending, no stream waits for room, and no background task waits for an object.
    fn has_only_calls(&self) -> bool {
        !self.shared().outbox.has_pending()
            && !self.streams.wants_room()
            && self.session.tasks() == 0
    }

    /// Sends the batch while there is no other work for this client. Returns whether no reply is
    /// pending.
    fn send_batch_when_idle(&self) -> bool {
        let mut shared = self.shared();
        shared.send_batch(self);
        !shared.outbox.has_pending()
    }

    /// Receives a frame within some milliseconds: spins for a short time and then sleeps.
    fn receive_soon(self: &Arc<Self>, context: LoopContext<'_>, crowd: &mut Crowd) -> ServerEvent {
        let count = if self.inbox.is_empty() { crowd.count() } else { 1 };
        let mut receive = |timeout| match count {
            1 => self.receive(context, timeout),
            _ => self.receive_several(context, timeout, (count, crowd)),
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
        context: LoopContext<'_>,
        timeout: Option<Duration>,
        (count, crowd): (usize, &mut Crowd),
    ) -> ServerEvent {
        let received = self.inbox.receive(&self.session.quota, count, |batch, count| {
            self.link.receive_several(batch, count, timeout)
        });
        match received {
            None => self.receive(context, timeout),
            Some(Ok(found)) => {
                crowd.found(found);
                self.receive(context, None)
            }
            Some(Err(error)) => self.not_received(context.reactor, &error),
        }
    }
}

/// How long a thread stays dedicated to a client after a call.
const DEDICATED_FOR: Duration = judged_by(Duration::from_millis(5));
