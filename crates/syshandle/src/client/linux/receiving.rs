//! Frames from the server: waiting for them and handing them to their waiters.

use std::io;
use std::time::Duration;

use syshandle_os::ReceivedMessage;
use syshandle_wire::{Body, ClientEndEvent, Fault, Header, Violation};

use super::connection::{ClientConnection, ClientConnectionState};
use super::deadline::{Deadline, KERNEL_WAIT, KERNEL_WAIT_MIN};
use super::end_reason::EndReason;
use super::reply::{EncodedReply, ReplyBody, ReplyWait};
use crate::batch::Batch;
use crate::buffer::{FrameBuffer, take_bytes};
use crate::link::BodyError;
use crate::received_handles::ReceivedHandles;
use crate::sync::thread::Thread;
use crate::sync::{now, wait_until};

/// Result of a receive.
pub(super) enum ReceiveResult {
    Frame(ReceivedFrame),
    Nothing(EndReason),
    NotYet,
}

/// Frame, with all of its handles or (if truncated) some of them.
pub(super) struct ReceivedFrame {
    buffer: FrameBuffer,
    len: usize,
    handles: ReceivedHandles,
    truncated: bool,
}

impl ReceiveResult {
    #[inline(always)]
    pub(super) fn of(
        buffer: FrameBuffer,
        received: &ReceivedMessage,
        handles: ReceivedHandles,
    ) -> Self {
        let (len, truncated) = (received.len, received.handles_truncated);
        match () {
            () if len == 0 => Self::Nothing(EndReason::Died),
            () if received.bytes_truncated => Self::Nothing(EndReason::Broken(Violation::TooLong)),
            () if received.unknown_control => {
                Self::Nothing(EndReason::Broken(Violation::UnknownControl))
            }
            () if handles.check_sender().is_err() => {
                Self::Nothing(EndReason::Broken(Violation::TooManyHandles))
            }
            () => Self::Frame(ReceivedFrame { buffer, len, handles, truncated }),
        }
    }
}

impl ClientConnection {
    /// Receives one frame, waiting until the deadline or a cancel.
    pub(super) fn receive(&self, deadline: &mut Deadline<'_>) -> ReceiveResult {
        let (mut buffer, mut handles) = (FrameBuffer::take(), ReceivedHandles::new());
        let received = self
            .receive_by(deadline, |timeout| self.link.receive(&mut buffer, &mut handles, timeout));
        match received {
            Ok(received) => ReceiveResult::of(buffer, &received, handles),
            Err(nothing) => nothing,
        }
    }

    /// Receives up to `count` frames into `batch`, waiting for the first like [`Self::receive`].
    pub(super) fn receive_several(
        &self,
        deadline: &mut Deadline<'_>,
        count: usize,
        batch: &mut Batch,
    ) -> Result<(), ReceiveResult> {
        self.receive_by(deadline, |timeout| self.link.receive_several(batch, count, timeout))
    }

    /// Calls `receive` until it succeeds. Its argument is the longest wait in the system call;
    /// `None` means not to wait.
    #[inline(always)]
    fn receive_by<T>(
        &self,
        deadline: &mut Deadline<'_>,
        mut receive: impl FnMut(Option<Duration>) -> io::Result<T>,
    ) -> Result<T, ReceiveResult> {
        let mut spin_wait = self.spin.start(self.link.peer());
        let mut spins = !deadline.left().is_zero() && spin_wait.again();
        let mut has_ended = false;
        loop {
            // Waits in the receiving system call, unless that could miss a cancel or the deadline.
            let left = deadline.left();
            let waits = !spins && !has_ended && deadline.cancel.is_none() && left > KERNEL_WAIT_MIN;
            let kernel_waits = waits.then_some(KERNEL_WAIT);
            match receive(kernel_waits) {
                Ok(received) => {
                    if spins {
                        spin_wait.hit();
                    }
                    return Ok(received);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && spins => {
                    spins = spin_wait.again();
                }
                // The last messages of the ended process were received.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && has_ended => {
                    return Err(ReceiveResult::Nothing(EndReason::Died));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let socket = &self.link.socket;
                    let until = self.process.wait_end(deadline.instant);
                    let waited = match deadline.cancel {
                        Some(cancel) => wait_until(until, |until| {
                            socket.wait_readable_or(cancel.event(), until)
                        }),
                        None => wait_until(until, |until| socket.wait_readable(until)).map(drop),
                    };
                    if let Err(error) = waited {
                        return Err(ReceiveResult::Nothing(EndReason::Failed(error.kind())));
                    }
                    deadline.look();
                    if deadline.check().is_err() {
                        return Err(ReceiveResult::NotYet);
                    }
                    has_ended = now() >= until && self.process.has_ended(socket);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => deadline.look(),
                // The server closed its end without reading all frames of this client. Its own
                // frames can still be received.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(error) => return Err(ReceiveResult::Nothing(EndReason::Failed(error.kind()))),
            }
        }
    }

    /// Hands a received frame to its waiter, which usually is the thread that has received it.
    pub(super) fn take_in(
        &self,
        state: &mut ClientConnectionState,
        incoming: ReceiveResult,
        receiver: &mut ReplyWait,
    ) {
        let ended = match incoming {
            ReceiveResult::NotYet => return,
            ReceiveResult::Nothing(ended) => ended,
            ReceiveResult::Frame(frame) => match self.take_frame(state, frame, receiver) {
                Ok(()) => {
                    // There may be room for one more call.
                    if !state.queue.is_empty() {
                        state.queue.iter().for_each(Thread::unpark);
                    }
                    return;
                }
                Err(ended) => ended,
            },
        };
        if state.ended.is_none() {
            crate::log::debug!(reason = ?ended, pid = self.server.pid, "the connection has ended");
            state.ended = Some(ended);
        }
        state.end.into_waiters().for_each(drop);
        for (thread, _) in state.asleep.drain(..) {
            thread.unpark();
        }
        state.queue.clear();
    }

    fn take_frame(
        &self,
        state: &mut ClientConnectionState,
        frame: ReceivedFrame,
        receiver: &mut ReplyWait,
    ) -> Result<(), EndReason> {
        let ReceivedFrame { buffer, len, mut handles, truncated } = frame;
        let (event, inline) = state.end.receive(&buffer[..len], handles.len(), truncated)?;
        match event {
            ClientEndEvent::Reply { waiter, status, body, handles_lost } => {
                let is_own = receiver.waiter == Some(waiter.number);
                let (body, bytes_lost) = match (self.link.check_body(body), body) {
                    (Ok(()), Body::Inline { .. }) if is_own => {
                        let start = len - inline.len();
                        (ReplyBody::Frame { frame: buffer, start, end: len }, false)
                    }
                    (Ok(()), Body::Inline { .. }) => {
                        let mut copy = take_bytes();
                        copy.extend_from_slice(inline);
                        (ReplyBody::Copy(copy), false)
                    }
                    // The server may need its memory before the reply is fetched.
                    (Ok(()), Body::Shared { .. }) if waiter.later && !is_own => {
                        let copy = self.link.copy(body).ok_or(Violation::BadArena)?;
                        let release = state.end.has_read(body);
                        self.release(state, release);
                        (ReplyBody::Copy(copy), false)
                    }
                    (Ok(()), Body::Shared { .. }) => (ReplyBody::Shared(body), false),
                    (Err(BodyError::Lost | BodyError::PastLimit(_)), _) => {
                        let release = state.end.has_read(body);
                        self.release(state, release);
                        (ReplyBody::Copy(Vec::new()), true)
                    }
                    (Err(BodyError::Violation(violation)), _) => return Err(violation.into()),
                };
                let handles_lost = handles_lost || bytes_lost;
                let reply = EncodedReply { status, body, handles, handles_lost };
                match is_own {
                    true => receiver.reply = Some(reply),
                    false => state.give(waiter.number, reply),
                }
            }
            ClientEndEvent::LateReply(body) => {
                let release = state.end.has_read(body);
                self.release(state, release);
            }
            ClientEndEvent::Arena => self.link.set_incoming(&mut handles)?,
            ClientEndEvent::ArenaLost => self.link.outgoing().send_again(),
            ClientEndEvent::ReleaseRequest(release) => self.release(state, release),
            ClientEndEvent::Nothing => {}
            ClientEndEvent::Bye => return Err(EndReason::Closed),
            ClientEndEvent::Refused => {
                let fault = Fault::read(inline).map_err(|_| Violation::NotOurs)?;
                return Err(EndReason::refused(fault, state.end.has_replied()));
            }
        }
        Ok(())
    }

    /// Releases ranges of the server's memory now, if `header` is given. Otherwise the next call
    /// releases them.
    pub(super) fn release(&self, state: &mut ClientConnectionState, header: Option<Header>) {
        let Some(header) = header else { return };
        if self.link.send_header(&header).is_err() {
            // The socket is full. The next call releases these ranges.
            state.end.unreleased(&header);
        }
    }
}
