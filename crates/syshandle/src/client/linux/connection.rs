//! Client side of a connection: calls of any number of threads over one socket.
//!
//! The thread that makes a call also does its I/O. The call starts (`starting`) and is sent. Its
//! reply is received (`receiving`) by the same thread or by another waiting thread (`role`).

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use syshandle_os::{
    BorrowedHandle, Credentials, OwnedHandle, ProcessMark, SpawnedProcess, WaitOutcome, Waitable,
    try_take,
};
use syshandle_types::{Limits, Payload};
use syshandle_wire::{Body, ClientEnd, FrameKind, Header};

use super::deadline::Deadline;
use super::end_reason::{EndReason, PeerName, failed};
use super::reply::{EncodedReply, Replies, ReplyBody, ReplyWait, Waiter, WaiterNumber};
use super::server_process::ServerProcess;
use crate::client::cancel::Cancel;
use crate::link::{ArenaRange, Link};
use crate::spin::Spin;
use crate::sync::thread::Thread;
use crate::sync::{Mutex, MutexGuard, now, wait_until};
use crate::{Error, ErrorKind, Result};

/// Connection whose handshake is complete.
#[derive(Debug)]
pub(crate) struct ClientConnection {
    owner: ProcessMark,
    pub(crate) link: Link,
    pub(super) server: Credentials,
    pub(super) process: ServerProcess,
    pub(super) peer_name: PeerName,
    pub(super) limits: Limits,
    pub(super) spin: Spin,
    /// Spin statistics of [`ClientConnection::wait_for`], which waits for objects that the server
    /// signals.
    pub(super) spin_beside: Spin,
    pub(super) state: Mutex<ClientConnectionState>,
}

#[derive(Debug)]
pub(super) struct ClientConnectionState {
    pub(super) end: ClientEnd<Waiter>,
    /// Number of the last waiter that was registered.
    pub(super) last_waiter: WaiterNumber,
    pub(super) replies: Replies,
    /// Whether a thread is receiving.
    pub(super) receiving: bool,
    /// Sleeping threads to wake, each with the waiter number of its reply.
    pub(super) asleep: Vec<(Thread, Option<WaiterNumber>)>,
    /// Threads whose call can't start yet, in order of arrival.
    pub(super) queue: VecDeque<Thread>,
    /// Whether the server was told that shared memory is short.
    pub(super) asked: bool,
    pub(super) ended: Option<EndReason>,
}

impl ClientConnectionState {
    /// Stores a reply for its waiter, and wakes the waiter's thread if it sleeps.
    pub(super) fn give(&mut self, waiter: WaiterNumber, reply: EncodedReply) {
        self.replies.put(waiter, reply);
        let asleep = self.asleep.iter().find(|(_, waits_for)| *waits_for == Some(waiter));
        if let Some((thread, _)) = asleep {
            thread.unpark();
        }
    }
}

/// Call that was sent; its reply may be fetched later.
#[derive(Debug)]
pub(crate) struct StartedCall {
    pub(super) call: u32,
    pub(super) waiter: WaiterNumber,
}

impl ClientConnection {
    /// Makes a connection after the server's greeting was received.
    pub(super) fn new(
        link: Link,
        server: Credentials,
        process: Option<OwnedHandle>,
        peer_name: PeerName,
        end: ClientEnd<Waiter>,
    ) -> Self {
        let limits = end.limits();
        let state = ClientConnectionState {
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
            peer_name,
            limits,
            spin,
            spin_beside,
            state: Mutex::new(state),
        }
    }

    /// Watches the server process that this client has started.
    pub(crate) fn watch(&self, spawned: &SpawnedProcess) {
        self.process.set(spawned);
    }

    /// Returns the server's credentials, as the kernel reports them.
    pub(crate) fn server(&self) -> Credentials {
        self.server
    }

    /// Returns the server's limits.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Sends a call and waits for its reply.
    pub(crate) fn call(
        &self,
        method: u32,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        deadline: &mut Deadline<'_>,
    ) -> Result<EncodedReply> {
        let started = self.send_call(method, body, handles, false, deadline)?;
        self.finish(&started, deadline)
    }

    /// Sends a call without waiting for its reply.
    pub(crate) fn begin(
        &self,
        method: u32,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        deadline: &mut Deadline<'_>,
    ) -> Result<StartedCall> {
        self.send_call(method, body, handles, true, deadline)
    }

    /// Waits for the reply of a call that was begun.
    pub(crate) fn finish(
        &self,
        started: &StartedCall,
        deadline: &mut Deadline<'_>,
    ) -> Result<EncodedReply> {
        let StartedCall { call, waiter } = *started;
        let mut waiting = ReplyWait { waiter: Some(waiter), reply: None };
        let waited = self.wait(deadline, &mut waiting, |state, _, waiting| {
            if waiting.reply.is_none() {
                waiting.reply = state.replies.take(waiter);
            }
            (waiting.reply.is_some() || state.ended.is_some()).then_some(())
        });
        match (waiting.reply, waited) {
            (Some(reply), _) => Ok(reply),
            (None, Ok(())) => Err(self.last_words(deadline).to_error(self.peer_name, true)),
            (None, Err(gave_up)) => {
                // The reply may have come in the last moment. None comes after the cancel.
                let reply = self.give_up(call, waiter);
                if let Some(EncodedReply { body: ReplyBody::Shared(body), .. }) = reply {
                    self.has_read(body);
                }
                Err(gave_up.maybe_ran())
            }
        }
    }

    /// Cancels a call that was begun and whose reply is no longer wanted.
    pub(crate) fn abandon(&self, started: &StartedCall) {
        drop(self.give_up(started.call, started.waiter));
    }

    /// Returns the bytes of a reply in the server's memory.
    pub(crate) fn range(&self, body: Body) -> (ArenaRange<'_>, usize) {
        self.link.range(body)
    }

    /// Copies the bytes of a reply out of the server's memory; `None` if they can't be read.
    #[cfg(feature = "tokio")]
    pub(crate) fn copy(&self, body: Body) -> Option<Vec<u8>> {
        self.link.copy(body)
    }

    /// Releases the range of a reply in the server's memory.
    pub(crate) fn has_read(&self, body: Body) {
        let mut state = self.state();
        let release = state.end.has_read(body);
        self.release(&mut state, release);
    }

    /// Waits for an object that the server signals. Ends as soon as the server has ended.
    pub(crate) fn wait_for(
        &self,
        object: &dyn Waitable,
        deadline: &mut Deadline<'_>,
    ) -> Result<()> {
        let mut spin_wait = self.spin_beside.start(self.link.peer());
        while spin_wait.again() {
            if try_take(object).map_err(failed)? {
                spin_wait.hit();
                return Ok(());
            }
        }
        let cancel = deadline.cancel.map(Cancel::event);
        let waited = loop {
            let until = self.process.wait_end(deadline.instant);
            let waited =
                wait_until(until, |until| self.link.socket.wait_beside(object, cancel, until));
            match waited.map_err(failed)? {
                WaitOutcome::TimedOut if self.process.has_ended(&self.link.socket) => {
                    // The server may have signalled the object before it ended.
                    if try_take(object).map_err(failed)? {
                        return Ok(());
                    }
                    break WaitOutcome::PeerGone;
                }
                WaitOutcome::TimedOut if now() < deadline.instant => {}
                waited => break waited,
            }
        };
        match waited {
            WaitOutcome::Taken => Ok(()),
            WaitOutcome::TimedOut => {
                let text = "timed out waiting for the object";
                Err(Error::detected(ErrorKind::TimedOut, text).of_no_call())
            }
            WaitOutcome::Cancelled => {
                Err(Error::detected(ErrorKind::Cancelled, "the wait was cancelled").of_no_call())
            }
            WaitOutcome::PeerGone => Err(self.last_words(deadline).to_error(self.peer_name, true)),
        }
    }

    /// Gives up a call: cancels it at the server, or returns its reply if that has already come.
    fn give_up(&self, call: u32, waiter: WaiterNumber) -> Option<EncodedReply> {
        let mut state = self.state();
        let reply = state.replies.take(waiter);
        let cancel = match reply {
            Some(_) => None,
            None => state.end.cancel(call),
        };
        drop(state);
        if let Some(header) = cancel {
            // If the socket has no room for the cancel, the server goes by the call's own deadline.
            let _ = self.link.send_header(&header);
        }
        reply
    }

    pub(super) fn state(&self) -> MutexGuard<'_, ClientConnectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends `Bye` if the server may still hold background work for this client, so that the work
/// continues. A forked copy of the process sends nothing. It does not take the lock either, because
/// a thread that exists only in the original may have held it at the fork.
impl Drop for ClientConnection {
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

/// Longest wait on drop until the socket has room for `Bye`. The wait is needed only if the system
/// refused a larger socket buffer.
const BYE_WAIT: Duration = Duration::from_millis(100);
