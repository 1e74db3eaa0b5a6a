//! Calls that are sent to the server in one system call.
//!
//! By default a call is sent when it is begun, because the runtime can't know whether others
//! follow. [`pipelined`](super::starter::pipelined) tells it that they do. The calls that its
//! closure begins are held back until the closure returns, until there are [`PIPELINE_MAX`] of
//! them, or until a thread waits for one of them. So no waiting thread depends on what the closure
//! does next.

use std::io::IoSlice;
use std::sync::PoisonError;

use syshandle_os::{BorrowedHandle, MESSAGES_AT_ONCE_MAX};
use syshandle_types::Payload;
use syshandle_wire::Header;

use super::connection::{ClientConnection, StartedCall};
use super::deadline::Deadline;
use super::reply::WaiterNumber;
use super::starting::NewCall;
use crate::link::append_frame;
use crate::sync::{Mutex, MutexGuard};
use crate::{Error, Result};

/// Calls that were begun and are held back.
#[derive(Debug)]
pub(crate) struct Pipeline(Mutex<PipelineState>);

#[derive(Debug)]
struct PipelineState {
    /// Frames of the calls, one after the other.
    bytes: Vec<u8>,
    calls: Vec<PipelinedCall>,
    /// Waiters whose calls couldn't be sent, with their errors.
    failed: Vec<(WaiterNumber, Error)>,
    /// Whether new calls are sent at once.
    ended: bool,
}

#[derive(Debug)]
struct PipelinedCall {
    header: Header,
    waiter: WaiterNumber,
    /// Range of the call's frame in `bytes`.
    start: usize,
    end: usize,
}

impl Pipeline {
    pub(super) fn new() -> Self {
        Self(Mutex::new(PipelineState {
            bytes: Vec::new(),
            calls: Vec::new(),
            failed: Vec::new(),
            ended: false,
        }))
    }

    /// Sends the held calls. Waits if the socket is full.
    pub(super) fn send(&self, connection: &ClientConnection, deadline: &mut Deadline<'_>) {
        let mut state = self.state();
        while !state.calls.is_empty() {
            let PipelineState { bytes, calls, .. } = &mut *state;
            let mut frames = [IoSlice::new(&[]); PIPELINE_MAX];
            for (frame, call) in frames.iter_mut().zip(&*calls) {
                *frame = IoSlice::new(&bytes[call.start..call.end]);
            }
            let count = calls.len().min(PIPELINE_MAX);
            match connection.link.socket.send_several(&frames[..count]) {
                Ok(sent) => drop(calls.drain(..sent)),
                Err(error) => {
                    drop(state);
                    let room = connection.make_room(error, false, deadline);
                    state = self.state();
                    if let Err(error) = room {
                        state.fail(connection, error);
                    }
                }
            }
        }
        state.bytes.clear();
    }

    /// Stops holding calls back: later calls are sent when they are begun.
    pub(super) fn end(&self) {
        self.state().ended = true;
    }

    /// Takes the error of a call that couldn't be sent; `None` if it was sent.
    pub(super) fn take_error(&self, started: &StartedCall) -> Option<Error> {
        let mut state = self.state();
        let place = state.failed.iter().position(|(waiter, _)| *waiter == started.waiter)?;
        Some(state.failed.swap_remove(place).1)
    }

    /// Removes a call that is no longer wanted. Returns `false` if it was sent already.
    pub(super) fn withdraw(&self, connection: &ClientConnection, started: &StartedCall) -> bool {
        let mut state = self.state();
        let failed = state.failed.len();
        state.failed.retain(|(waiter, _)| *waiter != started.waiter);
        if state.failed.len() < failed {
            return true;
        }
        let Some(place) = state.calls.iter().position(|call| call.waiter == started.waiter) else {
            return false;
        };
        let call = state.calls.remove(place);
        drop(state);
        connection.unsent(&call.header);
        true
    }

    fn state(&self) -> MutexGuard<'_, PipelineState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PipelineState {
    /// Gives up all held calls with this error.
    fn fail(&mut self, connection: &ClientConnection, error: Error) {
        let mut error = Some(error);
        for PipelinedCall { header, waiter, .. } in self.calls.drain(..) {
            connection.unsent(&header);
            let next = error.as_ref().map(Error::of_another_call);
            self.failed.extend(error.take().map(|error| (waiter, error)));
            error = next;
        }
    }
}

impl ClientConnection {
    /// Begins a call that is held back to be sent with others.
    pub(crate) fn begin_pipelined(
        &self,
        pipeline: &Pipeline,
        method: u32,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        deadline: &mut Deadline<'_>,
    ) -> Result<StartedCall> {
        // Borrowed handles can only be sent now. For a large call the system call hardly matters.
        if !handles.is_empty() || body.size().len > PIPELINED_BYTES_MAX {
            pipeline.send(self, deadline);
            return self.begin(method, body, handles, deadline);
        }
        deadline.check()?;
        let call = NewCall { method, handles: 0, body: body.size(), later: true };
        let started = self.try_to_start(call, deadline);
        let (header, waiter) = match started {
            Some(started) => started,
            None => {
                // This call has to wait for a slot. The held calls must not wait with it.
                pipeline.send(self, deadline);
                self.start(call, deadline)?
            }
        };
        let started = StartedCall { call: header.call, waiter };
        let mut state = pipeline.state();
        let start = state.bytes.len();
        append_frame(&header, &body.as_slice(), &mut state.bytes);
        let end = state.bytes.len();
        state.calls.push(PipelinedCall { header, waiter, start, end });
        let goes = state.ended || state.calls.len() >= PIPELINE_MAX;
        drop(state);
        if goes {
            pipeline.send(self, deadline);
        }
        Ok(started)
    }
}

/// Number of messages that one system call sends.
const PIPELINE_MAX: usize = MESSAGES_AT_ONCE_MAX;

/// A larger body is not copied into the held frames.
const PIPELINED_BYTES_MAX: usize = 1024;
