//! Starting calls: limits, waiting order and sending.

use std::io;
use std::time::Duration;

use syshandle_os::BorrowedHandle;
use syshandle_types::{BodySize, Limits, Payload};
use syshandle_wire::{FrameKind, Header, StartError};

use super::connection::{ClientConnection, ClientConnectionState, StartedCall};
use super::deadline::Deadline;
use super::end_reason::failed;
use super::reply::{ReplyWait, Waiter, WaiterNumber};
use crate::send_error::{is_past_limit, memory_error, send_error};
use crate::sync::thread::{self, Thread, ThreadId};
use crate::sync::{now, wait_until};
use crate::{Error, ErrorKind, Result};

/// Call that is about to start.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewCall {
    pub(super) method: u32,
    pub(super) handles: u16,
    pub(super) body: BodySize,
    /// Whether the reply may be fetched late.
    pub(super) later: bool,
}

impl ClientConnectionState {
    fn start(
        &mut self,
        call: NewCall,
        timeout_ms: u32,
    ) -> Result<(Header, WaiterNumber), StartError> {
        let NewCall { method, handles, body, later } = call;
        let waiter = Waiter { number: self.last_waiter + 1, later };
        let header = self.end.start(method, handles, body, timeout_ms, waiter)?;
        self.last_waiter = waiter.number;
        Ok((header, waiter.number))
    }
}

impl ClientConnection {
    /// Sends a call as soon as it may start.
    pub(super) fn send_call(
        &self,
        method: u32,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        later: bool,
        deadline: &mut Deadline<'_>,
    ) -> Result<StartedCall> {
        deadline.check()?;
        // The encoder has already refused more handles than fit into `u16`.
        let count = u16::try_from(handles.len()).unwrap_or(u16::MAX);
        if body.len() > Limits::INLINE_BYTES_MAX {
            self.prepare_memory(body.len())?;
        }
        let call = NewCall { method, handles: count, body: body.size(), later };
        let (header, waiter) = self.start(call, deadline)?;
        if let Err(error) = self.send(&header, body, handles, deadline) {
            self.unsent(&header);
            return Err(error);
        }
        Ok(StartedCall { call: header.call, waiter })
    }

    /// Makes shared memory for arguments of `len` bytes, unless it exists.
    pub(super) fn prepare_memory(&self, len: usize) -> Result<()> {
        let size = self.link.prepare_outgoing(len).map_err(memory_error)?;
        self.state().end.outgoing().set_size(size);
        Ok(())
    }

    /// Starts a call, after waiting for a free call slot if necessary.
    pub(super) fn start(
        &self,
        call: NewCall,
        deadline: &mut Deadline<'_>,
    ) -> Result<(Header, WaiterNumber)> {
        match self.try_to_start(call, deadline) {
            Some(started) => Ok(started),
            None => self.wait_to_start(call, deadline),
        }
    }

    /// Starts a call, unless it would have to wait or the connection has ended.
    #[inline(always)]
    pub(super) fn try_to_start(
        &self,
        call: NewCall,
        deadline: &Deadline<'_>,
    ) -> Option<(Header, WaiterNumber)> {
        let mut state = self.state();
        if state.ended.is_some() || !state.queue.is_empty() {
            return None;
        }
        state.start(call, deadline.left_ms()).ok()
    }

    #[cold]
    fn wait_to_start(
        &self,
        call: NewCall,
        deadline: &mut Deadline<'_>,
    ) -> Result<(Header, WaiterNumber)> {
        let large = call.body.len > Limits::INLINE_BYTES_MAX;
        let mut busy = None;
        loop {
            let step = self.wait(deadline, &mut ReplyWait::default(), |state, deadline, _| {
                if let Some(ended) = &state.ended {
                    return Some(StartOutcome::Ended(ended.to_error(self.peer_name, false)));
                }
                // Large calls start in order of arrival. Otherwise smaller ones could delay the
                // largest forever.
                let first =
                    state.queue.front().is_none_or(|first| first.id() == thread::current().id());
                let started = match large && !first {
                    true => Err(StartError::NoSharedMemory),
                    false => {
                        if busy.is_some() {
                            // The call has waited, so the stored time is out of date.
                            deadline.look();
                        }
                        state.start(call, deadline.left_ms())
                    }
                };
                match started {
                    Ok((header, waiter)) => return Some(StartOutcome::Started(header, waiter)),
                    Err(reason) => busy = Some(reason),
                }
                let this = thread::current();
                if !state.queue.iter().any(|queued| queued.id() == this.id()) {
                    state.queue.push_back(this);
                }
                (busy == Some(StartError::NoSharedMemory)
                    && !std::mem::replace(&mut state.asked, true))
                .then_some(StartOutcome::Ask)
            });
            let result = match step {
                Ok(StartOutcome::Ask) => {
                    let ask = Header::new(FrameKind::Release);
                    match self.send(&ask, &Payload::default(), &[], deadline) {
                        Ok(()) => continue,
                        Err(error) => {
                            self.state().asked = false;
                            Err(error)
                        }
                    }
                }
                Ok(StartOutcome::Started(header, waiter)) => Ok((header, waiter)),
                Ok(StartOutcome::Ended(error)) => Err(error),
                Err(error) => Err(self.could_not_start(error, busy)),
            };
            if busy.is_some() {
                self.leave_queue(thread::current().id());
            }
            return result;
        }
    }

    /// Returns the error of a call that gave up before it started. A timeout names the limit that
    /// the call waited for.
    pub(super) fn could_not_start(&self, error: Error, busy: Option<StartError>) -> Error {
        let what = match busy {
            _ if error.kind() != ErrorKind::TimedOut => return error,
            None => return error,
            Some(StartError::TooManyCalls) => {
                format!("one of the {} calls that the server takes ended", self.limits.calls_max)
            }
            Some(StartError::NoSharedMemory) => "there was room in the shared memory".into(),
        };
        Error::detected(ErrorKind::TimedOut, format!("timed out before {what}"))
    }

    /// Removes a call that has started or given up from the queue, so that the next one may start.
    pub(super) fn leave_queue(&self, thread: ThreadId) {
        let mut state = self.state();
        state.queue.retain(|queued| queued.id() != thread);
        if let Some(next) = state.queue.front() {
            next.unpark();
        }
    }

    /// Sends a frame. If the socket is full, receives until there is room, because the server may
    /// have to send before it reads on.
    pub(super) fn send(
        &self,
        header: &Header,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        deadline: &mut Deadline<'_>,
    ) -> Result<()> {
        loop {
            match self.link.send(header, body, handles) {
                Ok(()) => return Ok(()),
                Err(error) => self.make_room(error, !handles.is_empty(), deadline)?,
            }
        }
    }

    /// Waits until there may be room for a frame that couldn't be sent. Returns other send errors.
    #[cold]
    pub(super) fn make_room(
        &self,
        error: io::Error,
        has_handles: bool,
        deadline: &mut Deadline<'_>,
    ) -> Result<()> {
        match error.kind() {
            io::ErrorKind::WouldBlock => {
                deadline.check()?;
                let waited = wait_until(deadline.instant, |at| self.link.socket.wait_writable(at));
                waited.map_err(failed)?;
                deadline.look();
                self.receive_if_nobody_does();
                Ok(())
            }
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                Err(self.last_words(deadline).to_error(self.peer_name, false))
            }
            _ if is_past_limit(&error) => {
                // The server may still receive the earlier handles. No event reports when it does.
                if deadline.left().is_zero() {
                    return Err(send_error(error, has_handles));
                }
                deadline.check()?;
                let until = deadline.instant.min(now() + RECEIVED_WAIT);
                wait_until(until, |at| self.link.socket.wait_readable(at)).map_err(failed)?;
                deadline.look();
                self.receive_if_nobody_does();
                Ok(())
            }
            _ => Err(send_error(error, has_handles)),
        }
    }

    /// Forgets a call that wasn't sent.
    pub(super) fn unsent(&self, header: &Header) {
        let mut state = self.state();
        state.end.unsent(header);
        // The call slot is free now, and no frame reports that.
        state.queue.iter().for_each(Thread::unpark);
    }
}

/// Retry interval while too many handles are in flight to the server.
const RECEIVED_WAIT: Duration = Duration::from_millis(5);

/// Result of one attempt to start a call.
enum StartOutcome {
    Started(Header, WaiterNumber),
    /// The server must be asked to release shared memory first.
    Ask,
    Ended(Error),
}
