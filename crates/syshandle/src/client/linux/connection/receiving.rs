//! Receives the replies of a connection: a thread that waits for one of them receives for all, and
//! drivers receive for tasks.

use std::time::Duration;

use super::{ClientConnection, ConnectionState, StateGuard, Waiting};
use crate::Result;
use crate::batch::Batch;
use crate::buffer::FrameBuffer;
use crate::client::linux::calls::Calls;
use crate::client::linux::deadline::Deadline;
use crate::client::linux::end_reason::EndReason;
use crate::client::linux::receiver::{ReceiveResult, Receiver};
use crate::client::linux::reply::{ReplyWait, WaiterNumber};
use crate::client::linux::tasks::Watch;
use crate::peer_socket::INTERVAL;
use crate::received_handles::ReceivedHandles;
use crate::sync::{now, thread};

/// The outcome of a [`ClientConnection::dispatch`].
#[derive(Clone, Copy, Debug)]
pub(in crate::client::linux) struct Dispatched {
    /// Whether no frame was left. Otherwise the driver dispatches again.
    pub(in crate::client::linux) is_empty: bool,
    /// Events other than a readable socket for which the driver dispatches again.
    pub(in crate::client::linux) watch: Watch,
}

impl ClientConnection {
    /// Waits until `done` returns a value. Receives for all that wait, or sleeps while another
    /// thread receives.
    ///
    /// # Errors
    /// `TimedOut` or `Cancelled`.
    pub(super) fn wait<T>(
        &self,
        deadline: &mut Deadline<'_>,
        waiting: &mut ReplyWait,
        mut done: impl FnMut(&mut Calls, &mut ReplyWait) -> Option<T>,
    ) -> Result<T> {
        let _registered = deadline.cancel.map(|cancel| cancel.register(&thread::current()));
        let mut state = self.state();
        let mut has_waited = false;
        let result = loop {
            if self.owes_releases() {
                state.calls.send_released(&self.link);
            }
            if state.calls.queued() > 0 {
                // There may be room for one more call.
                state.send_queued(&self.link);
            }
            if has_waited && self.streams.wants_room() {
                self.streams.on_room();
                state.wake_streams();
            }
            if let Some(value) = done(&mut state.calls, waiting) {
                break Ok(value);
            }
            if std::mem::replace(&mut has_waited, true) {
                deadline.look();
            }
            if let Err(error) = deadline.check() {
                break Err(error);
            }
            state = match state.role.enter() {
                true => self.receive(state, deadline, waiting),
                false => self.sleep(state, deadline, waiting.waiter),
            };
        };
        state.hand_over();
        result
    }

    /// Returns whether room in the socket is an event.
    #[inline]
    fn needs_room(&self, state: &ConnectionState) -> bool {
        state.calls.needs_room() || self.streams.wants_room()
    }

    /// Sleeps until another thread wakes this one.
    fn sleep<'s>(
        &'s self,
        mut state: StateGuard<'s>,
        deadline: &Deadline<'_>,
        waiter: Option<WaiterNumber>,
    ) -> StateGuard<'s> {
        let this = Waiting(thread::current());
        state.role.sleep(this.clone(), waiter);
        // The thread that receives may have begun to wait before the socket was full. It doesn't
        // notice room then.
        let longest = if self.needs_room(&state) { ROOM_RETRY } else { Duration::MAX };
        drop(state);
        thread::park_timeout(deadline.left().min(longest));
        let mut state = self.state();
        state.role.woke(&this);
        state
    }

    /// Receives, with the receiver role, and gives the role up.
    #[inline]
    fn receive<'s>(
        &'s self,
        state: StateGuard<'s>,
        deadline: &mut Deadline<'_>,
        waiting: &mut ReplyWait,
    ) -> StateGuard<'s> {
        let (in_flight, or_room) = (state.calls.in_flight(), self.needs_room(&state));
        let retry = state.calls.retry_after();
        drop(state);
        let mut shorter;
        let deadline = match retry {
            Some(retry) => {
                shorter = deadline.at_most(retry);
                &mut shorter
            }
            None => deadline,
        };
        if in_flight >= 2 {
            // Several replies may be there.
            return self.receive_several(deadline, or_room, in_flight, waiting);
        }
        let received = self.receiver.receive(&self.link, deadline, or_room);
        let mut state = self.state();
        state.role.leave();
        self.take_in(&mut state, received, waiting);
        state
    }

    #[inline(never)]
    fn receive_several(
        &self,
        deadline: &mut Deadline<'_>,
        or_room: bool,
        count: usize,
        waiting: &mut ReplyWait,
    ) -> StateGuard<'_> {
        let mut batch = Batch::take();
        let received =
            self.receiver.receive_several(&self.link, deadline, or_room, count, &mut batch);
        self.take_in_several(received, batch, waiting)
    }

    /// Gives up the receiver role, and processes what was received.
    fn take_in_several(
        &self,
        received: Result<(), ReceiveResult>,
        mut batch: Batch,
        waiting: &mut ReplyWait,
    ) -> StateGuard<'_> {
        let mut state = self.state();
        state.role.leave();
        if let Err(nothing) = received {
            self.take_in(&mut state, nothing, waiting);
        }
        while state.calls.ended().is_none() {
            let (mut buffer, mut handles) = (FrameBuffer::take(), ReceivedHandles::new());
            let Some(received) = batch.next(&mut buffer, &mut handles) else { break };
            self.take_in(&mut state, ReceiveResult::of(buffer, &received, handles), waiting);
        }
        if batch.len() > 0 {
            // Frames after the end are discarded without the lock, because closing their handles
            // may take long.
            drop(state);
            drop(batch);
            state = self.state();
        }
        state
    }

    /// Hands a received frame to its waiter, which usually is the thread that has received it.
    fn take_in(
        &self,
        state: &mut ConnectionState,
        incoming: ReceiveResult,
        receiver: &mut ReplyWait,
    ) {
        let ended = match incoming {
            ReceiveResult::NotYet => return,
            ReceiveResult::Nothing(ended) => ended,
            ReceiveResult::Frame(frame) => {
                let notices_death = || self.receiver.notices_death(&self.link);
                let taken = state.calls.take_frame(&self.link, frame, receiver, &notices_death);
                state.wake_streams();
                match taken {
                    Ok(None) => return,
                    Ok(Some(waiter)) => return state.wake(waiter),
                    Err(ended) => ended,
                }
            }
        };
        crate::log::debug!(reason = ?ended, pid = self.server.pid, "the connection has ended");
        state.end_with(ended);
    }

    /// Receives for tasks, and for pending calls without a waiting thread. Reads the frames that
    /// have arrived, and sends the queued calls for which there is room. Never waits.
    pub(in crate::client::linux) fn dispatch(&self) -> Dispatched {
        let mut state = self.state();
        let now = now();
        let is_tick = state.tasks.any_waits() && state.tasks.is_due(now);
        // The last frames of an ended process are received before its end counts.
        let server_has_ended = is_tick && self.receiver.server_has_ended(&self.link);
        let mut is_empty = true;
        if state.calls.ended().is_none() && state.role.enter_as_driver() {
            // One more than the number of calls, to see whether other frames are left.
            let count = match self.streams.are_used() {
                true => Batch::MAX,
                false => (state.calls.in_flight() + 1).min(Batch::MAX),
            };
            drop(state);
            let mut batch = Batch::take();
            let received = Receiver::receive_now(&self.link, count, &mut batch);
            is_empty = batch.len() < count;
            state = self.take_in_several(received, batch, &mut ReplyWait::default());
            if !is_empty {
                state.role.mark_unread();
            }
        }
        if server_has_ended && is_empty {
            state.end_with(EndReason::Died);
        }
        if self.owes_releases() {
            state.calls.send_released(&self.link);
        }
        if state.calls.queued() > 0 {
            state.send_queued(&self.link);
        }
        if self.streams.wants_room() {
            self.streams.on_room();
            state.wake_streams();
        }
        let (late, deadline) = state.calls.late(now);
        late.into_iter().for_each(|waiter| state.wake(waiter));
        if is_empty {
            state.hand_over();
        }
        let retry = state.calls.retry_after().map(|retry| now + retry);
        let tick = state.tasks.any_waits().then(|| self.receiver.wait_end(now + INTERVAL));
        let next = [deadline, retry, tick].into_iter().flatten().min();
        let watch = Watch { next, room: self.needs_room(&state) };
        Dispatched { is_empty, watch: state.tasks.set_watch(now, watch) }
    }
}

/// Interval of attempts to send by a thread that sleeps while another one receives and the socket is
/// full.
const ROOM_RETRY: Duration = Duration::from_millis(20);
