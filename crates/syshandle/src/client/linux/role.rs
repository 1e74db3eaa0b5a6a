//! Receiver role: of several threads that wait for replies, one receives for all and the others
//! sleep. The receiver passes the role on when its reply has come or when it gives up.

use std::time::Duration;

use super::connection::{ClientConnection, ClientConnectionState};
use super::deadline::Deadline;
use super::end_reason::EndReason;
use super::receiving::ReceiveResult;
use super::reply::ReplyWait;
use crate::Result;
use crate::batch::Batch;
use crate::buffer::FrameBuffer;
use crate::received_handles::ReceivedHandles;
use crate::sync::MutexGuard;
use crate::sync::thread::{self, Thread};

impl ClientConnection {
    /// Waits until `done` returns a value. Receives for all waiting threads, or sleeps while
    /// another thread receives.
    ///
    /// # Errors
    /// `TimedOut` or `Cancelled`.
    pub(super) fn wait<T>(
        &self,
        deadline: &mut Deadline<'_>,
        waiting: &mut ReplyWait,
        mut done: impl FnMut(&mut ClientConnectionState, &mut Deadline<'_>, &mut ReplyWait) -> Option<T>,
    ) -> Result<T> {
        let _registered = deadline.cancel.map(|cancel| cancel.register(&thread::current()));
        let mut state = self.state();
        let mut has_waited = false;
        let result = loop {
            if let Some(value) = done(&mut state, deadline, waiting) {
                break Ok(value);
            }
            if std::mem::replace(&mut has_waited, true) {
                deadline.look();
            }
            if let Err(error) = deadline.check() {
                break Err(error);
            }
            if state.receiving {
                let this = thread::current();
                state.asleep.push((this.clone(), waiting.waiter));
                drop(state);
                thread::park_timeout(deadline.left());
                state = self.state();
                state.asleep.retain(|(thread, _)| thread.id() != this.id());
            } else {
                state.receiving = true;
                // The queue is usually empty. Then the current thread is not looked up.
                let is_this = |queued: &Thread| queued.id() == thread::current().id();
                let is_queued = state.queue.iter().any(is_this);
                let in_flight = state.end.running();
                drop(state);
                let mut shorter;
                let deadline = match is_queued {
                    // A slot can also become free without a frame, if another call of this client
                    // is given up.
                    true => {
                        shorter = deadline.at_most(LOOK_AGAIN);
                        &mut shorter
                    }
                    false => &mut *deadline,
                };
                state = match in_flight {
                    0..2 => {
                        let received = self.receive(deadline);
                        let mut state = self.state();
                        state.receiving = false;
                        self.take_in(&mut state, received, waiting);
                        state
                    }
                    // Several replies may be there.
                    _ => self.take_in_several(deadline, in_flight, waiting),
                };
            }
        };
        // A remaining thread may have to receive now, or may be able to start its call.
        if !state.receiving {
            if let Some((next, _)) = state.asleep.pop() {
                next.unpark();
            }
        }
        result
    }

    /// Receives all frames that are there, up to the number of calls in flight.
    #[inline(never)]
    fn take_in_several(
        &self,
        deadline: &mut Deadline<'_>,
        in_flight: usize,
        waiting: &mut ReplyWait,
    ) -> MutexGuard<'_, ClientConnectionState> {
        let mut batch = Batch::take();
        let received = self.receive_several(deadline, in_flight, &mut batch);
        let mut state = self.state();
        state.receiving = false;
        if let Err(nothing) = received {
            self.take_in(&mut state, nothing, waiting);
        }
        while state.ended.is_none() {
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

    /// Receives one frame if one is there, unless another thread receives. Returns `false` if no
    /// frame was there.
    pub(super) fn receive_if_nobody_does(&self) -> bool {
        let mut state = self.state();
        if state.receiving {
            return true;
        }
        let received = self.receive(&mut Deadline::lasting(Duration::ZERO, None));
        let something = !matches!(received, ReceiveResult::NotYet);
        self.take_in(&mut state, received, &mut ReplyWait::default());
        something
    }

    /// Returns why the connection has ended, after the server stopped receiving or sending. First
    /// receives for up to [`LAST_WORDS`] what the server sent before, because a server may stop
    /// receiving and still send.
    pub(super) fn last_words(&self, deadline: &mut Deadline<'_>) -> EndReason {
        deadline.look();
        let mut moment = Deadline::lasting(deadline.left().min(LAST_WORDS), None);
        let mut not_waiting = ReplyWait::default();
        let ended = self.wait(&mut moment, &mut not_waiting, |state, _, _| state.ended.clone());
        ended.unwrap_or(EndReason::Deaf)
    }
}

/// Poll interval of a queued call that no other thread can wake. It is longer than the shortest
/// wait in the receiving system call, which is the cheapest.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Longest time that a call that can't be sent waits for the end of the connection, which names the
/// reason.
const LAST_WORDS: Duration = Duration::from_millis(100);
