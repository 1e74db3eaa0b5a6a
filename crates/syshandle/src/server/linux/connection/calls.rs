//! The calls of a connection that have not been answered, and the shared memory of their arguments
//! and results.

use std::sync::Arc;
use std::sync::atomic::Ordering;
#[cfg(feature = "tokio")]
use std::sync::{OnceLock, atomic::fence};
use std::time::{Duration, Instant};

use syshandle_types::BodySize;
use syshandle_wire::{
    Body, Features, Header, MessageEntries, ServerEnd, ServerEndEvent, Status, Violation,
};
#[cfg(feature = "tokio")]
use tokio::task::AbortHandle;

use crate::limits::LIMITS;
use crate::sync::atomic::AtomicBool;
use crate::sync::now;

/// The calls of a connection, in terms of the wire.
#[derive(Debug)]
pub(super) struct Calls {
    end: ServerEnd<Arc<CallState>>,
    /// The state of the last call, whose allocation is reused.
    last: Option<Arc<CallState>>,
}

/// The state of a call, shared with its [`Context`](crate::Context).
#[derive(Debug)]
pub(crate) struct CallState {
    began: Instant,
    deadline: Instant,
    cancelled: AtomicBool,
    /// The task of an asynchronous method.
    #[cfg(feature = "tokio")]
    task: OnceLock<AbortHandle>,
}

/// A call, as far as its answer needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallId {
    /// The id that the client has chosen.
    pub(super) id: u32,
    pub(super) object: u32,
    pub(super) method: u32,
    /// The number of a one-way call.
    pub(super) one_way: Option<u32>,
}

impl CallId {
    /// Returns whether the call has no reply.
    pub(crate) fn is_one_way(self) -> bool {
        self.one_way.is_some()
    }

    /// Returns the number of the method.
    pub(crate) fn method(self) -> u32 {
        self.method
    }
}

impl Calls {
    pub(super) fn new() -> Self {
        Self { end: ServerEnd::new(LIMITS, Features::OWN), last: None }
    }

    /// Processes a frame. Cancels the call that the frame names.
    ///
    /// # Errors
    /// The client violated the protocol.
    #[inline]
    pub(super) fn receive<'f>(
        &mut self,
        frame: &'f [u8],
        handles: usize,
        handles_truncated: bool,
    ) -> Result<(ServerEndEvent<'_, Arc<CallState>>, &'f [u8]), Violation> {
        self.end.receive(frame, handles, handles_truncated)
    }

    /// Starts a call. `unread` is the number of replies that the client has not read. They count as
    /// calls; otherwise the pending replies would grow without limit.
    ///
    /// # Errors
    /// The client has too many calls in flight.
    #[inline]
    pub(super) fn start(
        &mut self,
        (id, object, method): (u32, u32, u32),
        is_one_way: bool,
        timeout: Duration,
        unread: usize,
    ) -> Result<(CallId, Arc<CallState>), Violation> {
        if self.end.places() + unread >= LIMITS.calls_max.into() {
            return Err(Violation::TooManyCalls);
        }
        let state = CallState::start(&mut self.last, now(), timeout);
        let one_way = match is_one_way {
            true => Some(self.end.started_one_way(state.clone())),
            false => {
                self.end.started(id, state.clone());
                None
            }
        };
        Ok((CallId { id, object, method, one_way }, state))
    }

    /// Returns the states of the calls that end with the connection. After a bye of the client,
    /// one-way calls continue.
    pub(super) fn states(&self) -> Vec<Arc<CallState>> {
        let one_way = self.end.running_one_way().filter(|_| !self.end.has_said_bye());
        self.end.running().chain(one_way).cloned().collect()
    }

    /// Returns the number of calls without a reply, and of one-way calls that have not ended.
    pub(super) fn running(&self) -> usize {
        self.end.running().count() + self.end.running_one_way().count()
    }

    /// Returns whether the client has closed the connection in order.
    pub(super) fn has_said_bye(&self) -> bool {
        self.end.has_said_bye()
    }

    /// Ends a one-way call.
    pub(super) fn end_one_way(&mut self, number: u32) {
        self.end.end_one_way(number);
    }

    /// Returns the frame that reports the failure of a one-way call.
    pub(super) fn one_way_failed(&mut self, call: CallId, body_len: usize) -> Header {
        self.end.one_way_failed(call.id, call.method, body_len)
    }

    /// Returns a frame that acknowledges one-way calls, if it should not wait for the next reply.
    #[inline]
    pub(super) fn acknowledgement(&mut self, at_once: bool) -> Option<Header> {
        self.end.acknowledgement(at_once)
    }

    /// Returns whether references to objects of the server are numbers.
    pub(super) fn takes_objects(&self) -> bool {
        self.end.features().contains(Features::OBJECTS)
    }

    /// Returns whether the client may make one-way calls.
    pub(super) fn takes_one_way_calls(&self) -> bool {
        self.end.features().contains(Features::ONE_WAY)
    }

    /// Returns the features in effect.
    #[inline]
    pub(super) fn features(&self) -> Features {
        self.end.features()
    }

    /// Returns whether messages may open streams.
    pub(super) fn takes_streams(&self) -> bool {
        self.features().contains(Features::STREAMS)
    }

    /// Returns whether no call runs.
    pub(super) fn is_idle(&self) -> bool {
        self.end.is_idle()
    }

    /// Ends a call and returns the header of its reply; `None` while the shared memory has no room
    /// for the body.
    #[inline]
    pub(super) fn reply(
        &mut self,
        call: u32,
        status: Status,
        entries: MessageEntries,
        body: BodySize,
    ) -> Option<Header> {
        self.end.reply(call, status, entries, body)
    }

    /// Returns the header of a fault that replaces a reply that couldn't be sent.
    pub(super) fn reply_instead(&mut self, unsent: &Header, body_len: usize) -> Header {
        self.end.reply_instead(unsent, Status::Fault, body_len)
    }

    /// Sets the size of the shared memory for replies.
    pub(super) fn set_memory_size(&mut self, size: usize) {
        self.end.outgoing().set_size(size);
    }

    /// Returns the end of the used part of the shared memory for replies.
    pub(super) fn used_memory(&mut self) -> usize {
        self.end.outgoing().end()
    }

    /// Releases a range of the client's shared memory. Returns the frame to send if the release
    /// should not wait for the next reply.
    pub(super) fn has_read(&mut self, body: Body) -> Option<Header> {
        self.end.has_read(body)
    }

    /// Takes back the releases of a frame that could not be sent.
    pub(super) fn unreleased(&mut self, header: &Header) {
        self.end.unreleased(header);
    }
}

impl CallState {
    /// Returns the state of a new call. Reuses the allocation of the last one, unless a context
    /// still refers to it.
    fn start(last: &mut Option<Arc<Self>>, began: Instant, timeout: Duration) -> Arc<Self> {
        let deadline = began + timeout;
        let new = || Self {
            began,
            deadline,
            cancelled: AtomicBool::new(false),
            #[cfg(feature = "tokio")]
            task: OnceLock::new(),
        };
        let mut call = last.take().unwrap_or_else(|| Arc::new(new()));
        match Arc::get_mut(&mut call) {
            Some(free) => *free = new(),
            None => call = Arc::new(new()),
        }
        *last = Some(call.clone());
        call
    }

    /// Cancels the call. Must not be called under a lock, because a runtime that is shut down may
    /// drop the future of the method here.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        #[cfg(feature = "tokio")]
        {
            fence(Ordering::SeqCst);
            if let Some(task) = self.task.get() {
                task.abort();
            }
        }
    }

    /// Sets the task that a cancel aborts.
    #[cfg(feature = "tokio")]
    pub(crate) fn set_task(&self, task: AbortHandle) {
        let _ = self.task.set(task);
        // The cancel or this function sees what the other one has stored.
        fence(Ordering::SeqCst);
        if self.cancelled.load(Ordering::SeqCst) {
            self.cancel();
        }
    }

    /// Returns when the call was received.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns whether the client no longer waits for the result.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst) || now() >= self.deadline
    }
}
