//! The client's side of a connection: calls of any number of threads over one socket.
//!
//! A call does its I/O on the thread that makes it: it starts (`starting`), is sent, and its reply is
//! received (`receiving`) by it, or by another thread that waits as well (`role`).

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use syshandle_os::{BorrowedHandle, Credentials, Waitable, Waited, try_take};
use syshandle_wire::{Body, ClientEnd, FrameKind, Header, Limits, Payload};

use super::cancel::Cancel;
use super::ended::{Ended, failed};
use super::patience::Patience;
use super::reply::{Reply, ReplyBody, Waiting};
use crate::link::{Link, Range};
use crate::spin::Spin;
use crate::sync::thread::Thread;
use crate::sync::{Mutex, MutexGuard, wait_until};
use crate::{Error, ErrorKind, Result};

/// A connection that was greeted.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) link: Link,
    pub(super) server: Credentials,
    pub(super) limits: Limits,
    pub(super) spin: Spin,
    /// For objects that the server signals.
    pub(super) spin_beside: Spin,
    pub(super) state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) end: ClientEnd<Arc<Waiting>>,
    /// Somebody receives.
    pub(super) receiving: bool,
    /// Those who sleep until somebody wakes them.
    pub(super) asleep: Vec<Thread>,
    /// Those whose call can't start yet, in the order in which they came.
    pub(super) queue: VecDeque<Thread>,
    /// The server was told that shared memory is short.
    pub(super) asked: bool,
    pub(super) ended: Option<Ended>,
}

/// A call that was made, whose reply somebody may wait for later.
#[derive(Debug)]
pub(crate) struct Begun {
    call: u32,
    waiting: Arc<Waiting>,
}

impl Connection {
    /// A connection that was greeted and has answered.
    pub(super) fn new(link: Link, server: Credentials, end: ClientEnd<Arc<Waiting>>) -> Self {
        let limits = end.limits();
        let state = State {
            end,
            receiving: false,
            asleep: Vec::new(),
            queue: VecDeque::new(),
            asked: false,
            ended: None,
        };
        let (spin, spin_beside) = (Spin::default(), Spin::default());
        Self { link, server, limits, spin, spin_beside, state: Mutex::new(state) }
    }

    /// Who the server is, from the kernel.
    pub(crate) fn server(&self) -> Credentials {
        self.server
    }

    /// What the server takes.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Makes a call: sends it and waits for its reply.
    pub(crate) fn call(
        &self,
        method: u32,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        patience: &mut Patience<'_>,
    ) -> Result<Reply> {
        let waiting = Waiting::of_this_thread();
        let call = self.send_call(method, body, handles, patience, &waiting)?;
        self.reply(call, &waiting, patience)
    }

    /// Makes a call and doesn't wait for its reply.
    pub(crate) fn begin(
        &self,
        method: u32,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        patience: &mut Patience<'_>,
    ) -> Result<Begun> {
        let waiting = Waiting::for_later();
        let call = self.send_call(method, body, handles, patience, &waiting)?;
        Ok(Begun { call, waiting })
    }

    /// Waits for the reply of a call that was begun.
    pub(crate) fn finish(&self, begun: &Begun, patience: &mut Patience<'_>) -> Result<Reply> {
        begun.waiting.wake_this_thread();
        self.reply(begun.call, &begun.waiting, patience)
    }

    /// Nobody waits for a call that was begun.
    pub(crate) fn abandon(&self, begun: &Begun) {
        if begun.waiting.take_reply().is_none() {
            self.cancel(begun.call);
        }
    }

    /// Sends a call, when it may start; returns its id.
    fn send_call(
        &self,
        method: u32,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        patience: &mut Patience<'_>,
        waiting: &Arc<Waiting>,
    ) -> Result<u32> {
        patience.check()?;
        let header = self.start(method, body.len(), handles.len(), waiting, patience)?;
        if let Err(error) = self.send(&header, body, handles, patience) {
            let mut state = self.state();
            state.end.unsent(&header);
            // Its place is free, and no frame tells.
            state.queue.iter().for_each(Thread::unpark);
            return Err(error);
        }
        Ok(header.call)
    }

    /// Waits for the reply of a call that was sent.
    fn reply(&self, call: u32, waiting: &Waiting, patience: &mut Patience<'_>) -> Result<Reply> {
        self.wait(patience, |state, _| {
            if let Some(reply) = waiting.take_reply() {
                return Some(Ok(reply));
            }
            state.ended.as_ref().map(|ended| Err(ended.to_error(true)))
        })
        .map_err(|gave_up| {
            self.cancel(call);
            // It may have come in the last moment; nothing comes after the cancel.
            if let Some(Reply { body: ReplyBody::Shared(body), .. }) = waiting.take_reply() {
                self.has_read(body);
            }
            gave_up.maybe_ran()
        })?
    }

    /// The bytes of a reply in the server's memory.
    pub(crate) fn range(&self, body: Body) -> (Range<'_>, usize) {
        self.link.range(body)
    }

    /// A copy of them; `None` where they aren't.
    #[cfg(feature = "tokio")]
    pub(crate) fn copy(&self, body: Body) -> Option<Vec<u8>> {
        self.link.copy(body)
    }

    /// Gives the range of a reply back.
    pub(crate) fn has_read(&self, body: Body) {
        let mut state = self.state();
        let release = state.end.has_read(body);
        self.release(&mut state, release);
    }

    /// Waits for an object of the server's: ends at once when the server is gone.
    pub(crate) fn wait_for(&self, object: &dyn Waitable, patience: Patience<'_>) -> Result<()> {
        let mut looking = self.spin_beside.start(self.link.peer());
        while looking.again() {
            if try_take(object).map_err(failed)? {
                looking.came();
                return Ok(());
            }
        }
        let cancel = patience.cancel.map(Cancel::event);
        let waited = wait_until(patience.deadline, |until| {
            self.link.socket.wait_beside(object, cancel, until)
        });
        match waited.map_err(failed)? {
            Waited::Taken => Ok(()),
            Waited::TimedOut => Err(Error::new(ErrorKind::TimedOut, "the time was over")),
            Waited::Cancelled => Err(Error::new(ErrorKind::Cancelled, "the wait was cancelled")),
            Waited::PeerGone => Err(self.last_words().to_error(true)),
        }
    }

    /// Tells the server that nobody waits for a call any more.
    pub(super) fn cancel(&self, call: u32) {
        let header = self.state().end.cancel(call);
        if let Some(header) = header {
            // When there is no room for it, the server learns it from the call's own deadline.
            let _ = self.link.send_header(&header);
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that is done says so: what the server does for it goes on.
impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.link.send_header(&Header::new(FrameKind::Bye));
    }
}
