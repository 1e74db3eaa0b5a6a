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
use crate::ring;
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

impl Calls {
    pub(super) fn new() -> Self {
        Self { end: ServerEnd::new(LIMITS, ring::features()), last: None }
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
        call: u32,
        timeout: Duration,
        unread: usize,
    ) -> Result<Arc<CallState>, Violation> {
        if self.running() + unread >= LIMITS.calls_max.into() {
            return Err(Violation::TooManyCalls);
        }
        let state = CallState::start(&mut self.last, now(), timeout);
        self.end.started(call, state.clone());
        Ok(state)
    }

    /// Returns the states of all calls.
    pub(super) fn states(&self) -> Vec<Arc<CallState>> {
        self.end.running().cloned().collect()
    }

    /// Returns the number of calls without a reply.
    pub(super) fn running(&self) -> usize {
        self.end.running().count()
    }

    /// Returns the features in effect.
    pub(super) fn features(&self) -> Features {
        self.end.features()
    }

    /// Returns whether references to objects of the server are numbers.
    pub(super) fn takes_objects(&self) -> bool {
        self.end.features().contains(Features::OBJECTS)
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
