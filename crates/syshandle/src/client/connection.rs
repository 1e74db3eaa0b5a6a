//! The client's side of a connection: calls of any number of threads over one socket.
//!
//! A call does its I/O on the thread that makes it: it starts (`starting`), is sent, and its reply is
//! received (`receiving`) by it, or by another thread that waits as well (`role`).

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use syshandle_os::{
    BorrowedHandle, Credentials, OwnedHandle, ProcessMark, Spawned, Waitable, Waited, try_take,
};
use syshandle_wire::{Body, ClientEnd, FrameKind, Header, Limits, Payload};

use super::cancel::Cancel;
use super::ended::{Ended, OtherEnd, failed};
use super::patience::Patience;
use super::reply::{Replies, Reply, ReplyBody, Waiter, WaiterNumber, Waiting};
use super::server_process::ServerProcess;
use super::starting::NewCall;
use crate::link::{Link, Range};
use crate::spin::Spin;
use crate::sync::thread::Thread;
use crate::sync::{Mutex, MutexGuard, now, wait_until};
use crate::{Error, ErrorKind, Result};

/// A connection that was greeted.
#[derive(Debug)]
pub(crate) struct Connection {
    owner: ProcessMark,
    pub(crate) link: Link,
    pub(super) server: Credentials,
    pub(super) process: ServerProcess,
    pub(super) other_end: OtherEnd,
    pub(super) limits: Limits,
    pub(super) spin: Spin,
    /// For objects that the server signals.
    pub(super) spin_beside: Spin,
    pub(super) state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) end: ClientEnd<Waiter>,
    /// The number of the last one who began to wait for a reply.
    pub(super) last_waiter: WaiterNumber,
    pub(super) replies: Replies,
    /// Somebody receives.
    pub(super) receiving: bool,
    /// Those who sleep until somebody wakes them, and for whose reply.
    pub(super) asleep: Vec<(Thread, Option<WaiterNumber>)>,
    /// Those whose call can't start yet, in the order in which they came.
    pub(super) queue: VecDeque<Thread>,
    /// The server was told that shared memory is short.
    pub(super) asked: bool,
    pub(super) ended: Option<Ended>,
}

impl State {
    /// Keeps a reply for who waits for it, and wakes who sleeps until then.
    pub(super) fn give(&mut self, waiter: WaiterNumber, reply: Reply) {
        self.replies.put(waiter, reply);
        let asleep = self.asleep.iter().find(|(_, waits_for)| *waits_for == Some(waiter));
        if let Some((thread, _)) = asleep {
            thread.unpark();
        }
    }
}

/// A call that was made, whose reply somebody may wait for later.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(super) call: u32,
    pub(super) waiter: WaiterNumber,
}

impl Connection {
    /// A connection that was greeted and has answered.
    pub(super) fn new(
        link: Link,
        server: Credentials,
        process: Option<OwnedHandle>,
        other_end: OtherEnd,
        end: ClientEnd<Waiter>,
    ) -> Self {
        let limits = end.limits();
        let state = State {
            end,
            last_waiter: 0,
            replies: Replies::default(),
            receiving: false,
            asleep: Vec::new(),
            queue: VecDeque::new(),
            asked: false,
            ended: None,
        };
        let (spin, spin_beside) = (Spin::default(), Spin::default());
        let owner = ProcessMark::current();
        let process = ServerProcess::of(server, process);
        Self {
            owner,
            link,
            server,
            process,
            other_end,
            limits,
            spin,
            spin_beside,
            state: Mutex::new(state),
        }
    }

    /// Watches the program that this client has started for the server.
    pub(crate) fn watch(&self, spawned: &Spawned) {
        self.process.set(spawned);
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
        let begun = self.send_call(method, body, handles, false, patience)?;
        self.finish(&begun, patience)
    }

    /// Makes a call and doesn't wait for its reply.
    pub(crate) fn begin(
        &self,
        method: u32,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        patience: &mut Patience<'_>,
    ) -> Result<Begun> {
        self.send_call(method, body, handles, true, patience)
    }

    /// Waits for the reply of a call that was begun.
    pub(crate) fn finish(&self, begun: &Begun, patience: &mut Patience<'_>) -> Result<Reply> {
        let Begun { call, waiter } = *begun;
        let mut waiting = Waiting { waiter: Some(waiter), reply: None };
        let waited = self.wait(patience, &mut waiting, |state, _, waiting| {
            if waiting.reply.is_none() {
                waiting.reply = state.replies.take(waiter);
            }
            (waiting.reply.is_some() || state.ended.is_some()).then_some(())
        });
        match (waiting.reply, waited) {
            (Some(reply), _) => Ok(reply),
            (None, Ok(())) => Err(self.last_words(patience).to_error(self.other_end, true)),
            (None, Err(gave_up)) => {
                // It may have come in the last moment; nothing comes after the cancel.
                let reply = self.give_up(call, waiter);
                if let Some(Reply { body: ReplyBody::Shared(body), .. }) = reply {
                    self.has_read(body);
                }
                Err(gave_up.maybe_ran())
            }
        }
    }

    /// Nobody waits for a call that was begun.
    pub(crate) fn abandon(&self, begun: &Begun) {
        drop(self.give_up(begun.call, begun.waiter));
    }

    /// Sends a call, when it may start.
    fn send_call(
        &self,
        method: u32,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        later: bool,
        patience: &mut Patience<'_>,
    ) -> Result<Begun> {
        patience.check()?;
        // More handles than that were refused when they were encoded.
        let count = u16::try_from(handles.len()).unwrap_or(u16::MAX);
        if body.len() > Limits::INLINE_BYTES_MAX {
            self.prepare_memory(body.len())?;
        }
        let call = NewCall { method, handles: count, body: body.size(), later };
        let (header, waiter) = self.start(call, patience)?;
        if let Err(error) = self.send(&header, body, handles, patience) {
            self.unsent(&header);
            return Err(error);
        }
        Ok(Begun { call: header.call, waiter })
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
    pub(crate) fn wait_for(
        &self,
        object: &dyn Waitable,
        patience: &mut Patience<'_>,
    ) -> Result<()> {
        let mut looking = self.spin_beside.start(self.link.peer());
        while looking.again() {
            if try_take(object).map_err(failed)? {
                looking.came();
                return Ok(());
            }
        }
        let cancel = patience.cancel.map(Cancel::event);
        let waited = loop {
            let until = self.process.wait_end(patience.deadline);
            let waited =
                wait_until(until, |until| self.link.socket.wait_beside(object, cancel, until));
            match waited.map_err(failed)? {
                Waited::TimedOut if self.process.has_ended(&self.link.socket) => {
                    // The server may have signalled it before.
                    if try_take(object).map_err(failed)? {
                        return Ok(());
                    }
                    break Waited::PeerGone;
                }
                Waited::TimedOut if now() < patience.deadline => {}
                waited => break waited,
            }
        };
        match waited {
            Waited::Taken => Ok(()),
            Waited::TimedOut => {
                let text = "timed out waiting for the object";
                Err(Error::new(ErrorKind::TimedOut, text).of_no_call())
            }
            Waited::Cancelled => {
                Err(Error::new(ErrorKind::Cancelled, "the wait was cancelled").of_no_call())
            }
            Waited::PeerGone => Err(self.last_words(patience).to_error(self.other_end, true)),
        }
    }

    /// Nobody waits for a call any more: tells the server so, or takes the reply if it has come.
    fn give_up(&self, call: u32, waiter: WaiterNumber) -> Option<Reply> {
        let mut state = self.state();
        let reply = state.replies.take(waiter);
        let cancel = match reply {
            Some(_) => None,
            None => state.end.cancel(call),
        };
        drop(state);
        if let Some(header) = cancel {
            // When there is no room for it, the server learns it from the call's own deadline.
            let _ = self.link.send_header(&header);
        }
        reply
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends `Bye` if the server may still hold background work for this client, so that the work
/// continues. A forked copy of the process sends nothing, and doesn't take the lock either: a thread
/// that the copy hasn't may hold it.
impl Drop for Connection {
    fn drop(&mut self) {
        if self.owner.is_current() && self.state().end.owes_bye() {
            let bye = Header::new(FrameKind::Bye);
            let sent = self.link.send_last(&bye, &[]);
            if sent.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
                let _ = self.link.send_by(&bye, &[], now() + BYE_WAIT);
            }
        }
    }
}

/// How long a client that is dropped waits for a server that leaves no room for its good-bye, where
/// the system allows no larger buffers.
const BYE_WAIT: Duration = Duration::from_millis(100);
