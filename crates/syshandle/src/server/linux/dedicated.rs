//! A thread that is dedicated to one client, which calls repeatedly.
//!
//! The thread sleeps in the system call that receives, which is the cheapest way to wait, and has
//! given its loop to another thread. Only such a thread receives several frames at once, batches
//! replies, and waits for a background task beside its socket, because no other client waits for
//! it.

use std::sync::Arc;
use std::time::Duration;

use syshandle_os::ReadySet;

use super::connection::ServerConnection;
use super::inbox::Crowd;
use super::reactor::Reactor;
use super::receiving::{EventOutcome, RunOutcome, ServerEvent};
use super::task::Task;
use super::watchdog::{Assignment, WorkerSlot};
use crate::sync::{now, wait_until};

/// The events that a dedicated thread waits for.
enum WaitSet {
    Calls,
    /// Calls and a background task, for which this thread waits directly.
    CallsAnd(Arc<Task>),
    /// More than a dedicated thread can wait for, so the client returns to its loop.
    More,
}

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
        self.newest().attend();
        let mut waits_for = match reactor.workers.hand_over(reactor, index) {
            Ok(()) => WaitSet::Calls,
            Err(_) => WaitSet::More,
        };
        let mut crowd = Crowd::new();
        while !matches!(waits_for, WaitSet::More) && !reactor.is_stopped() {
            if self.batches_replies() && self.inbox.is_empty() && !self.send_batch_when_idle() {
                break;
            }
            waits_for = match self.receive_soon(waits_for, reactor, slot, &mut crowd) {
                ServerEvent::Call(work) => {
                    if matches!(self.run(work, reactor, slot), RunOutcome::Lost) {
                        return true;
                    }
                    self.waits_for()
                }
                ServerEvent::Task(task) => {
                    if self.batches_replies() {
                        self.send_batch(&mut self.state());
                    }
                    if matches!(task.act(reactor, slot), EventOutcome::Lost) {
                        return true;
                    }
                    self.waits_for()
                }
                ServerEvent::Other => self.waits_for(),
                ServerEvent::End => {
                    self.leave_newest(reactor);
                    slot.assign(Assignment::Nothing);
                    let _ = self.let_go(reactor, slot);
                    return true;
                }
                ServerEvent::Lost => return true,
                ServerEvent::None => WaitSet::More,
            };
            reactor.check_idle();
        }
        slot.give_up(reactor);
        true
    }

    /// Returns the events that this dedicated thread has to wait for.
    fn waits_for(&self) -> WaitSet {
        if !self.state().pending.is_empty() {
            return WaitSet::More;
        }
        match self.session.tasks() {
            0 => WaitSet::Calls,
            1 => self.newest().task().map_or(WaitSet::More, WaitSet::CallsAnd),
            _ => WaitSet::More,
        }
    }

    /// Receives a frame within some milliseconds: spins for a short time and then sleeps.
    fn receive_soon(
        self: &Arc<Self>,
        waits_for: WaitSet,
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
            let frame = match &waits_for {
                WaitSet::CallsAnd(task) if task.take() => ServerEvent::Task(task.clone()),
                _ => receive(None),
            };
            if !matches!(frame, ServerEvent::None) {
                spin_wait.hit();
                return frame;
            }
        }
        match waits_for {
            WaitSet::CallsAnd(task) if self.inbox.is_empty() => {
                self.receive_beside(task, reactor, slot)
            }
            _ => receive(Some(DEDICATED_FOR)),
        }
    }

    /// Waits some milliseconds for a frame or for the object of a background task.
    fn receive_beside(
        self: &Arc<Self>,
        task: Arc<Task>,
        reactor: &Arc<Reactor>,
        slot: &WorkerSlot,
    ) -> ServerEvent {
        let Some(object) = task.object() else {
            return self.receive(reactor, slot, Some(DEDICATED_FOR));
        };
        let socket = &self.link.socket;
        let waited =
            wait_until(now() + DEDICATED_FOR, |until| socket.wait_readable_beside(&*object, until));
        match waited {
            Ok(ReadySet { object: true, .. }) => ServerEvent::Task(task),
            Ok(ReadySet { socket: true, .. }) => self.receive(reactor, slot, None),
            Ok(_) | Err(_) => ServerEvent::None,
        }
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
