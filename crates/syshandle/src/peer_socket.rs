//! A socket to an untrusted peer, which can fill the socket's queues with handles.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use syshandle_os::{BorrowedHandle, Peer, ProcessMark, Seqpacket};

use crate::in_flight::{self, InFlight, SentQueue};
use crate::quota::Quota;
use crate::received_handles::ReceivedHandles;
use crate::sync::now;
use crate::wait_mode::WaitMode;

/// One end of a connection to a peer.
///
/// Messages that this process has not received may contain handles, and closing the socket closes
/// those too. So the socket is closed in place only if its queue is empty, and in the background
/// otherwise.
///
/// Messages that the peer has not received hold memory and handles of this process. The handles
/// count in the peer's limit of handles in flight. The socket is kept open, and counts in the
/// peer's quota of descriptors, until the peer has received the messages or has gone.
#[derive(Debug)]
pub(crate) struct PeerSocket(Arc<SharedSocket>);

/// Socket that may be kept open after this process stops using it.
#[derive(Debug)]
pub(crate) struct SharedSocket {
    /// `None` only during `drop`.
    socket: Option<Seqpacket>,
    peer: Arc<Quota>,
    owner: ProcessMark,
    /// Whether other holders continue to use this end after this one is dropped.
    is_shared: bool,
    sent: Mutex<SentHandles>,
}

/// Handles that were sent over one socket and, by the last query, not yet received.
#[derive(Debug, Default)]
struct SentHandles {
    /// Unreceived messages with handles, in the order of sending.
    messages: VecDeque<SentMessage>,
    /// Number of handles in all of these messages.
    handles: usize,
    /// Whether the peer's counter of handles in flight has this socket in its list.
    is_known: bool,
    /// Whether it was decided if the socket is kept open until the peer has received the messages.
    is_kept: bool,
}

/// Message with handles.
#[derive(Debug)]
struct SentMessage {
    handles: usize,
    /// Lower bound of the memory that the kernel charges for the message while it is unread.
    charge: usize,
}

impl SentHandles {
    /// Removes the messages that the peer has received, and returns the number of their handles.
    /// `unread` is the memory that the kernel charges for the messages in the queue.
    ///
    /// The peer receives messages in order, so the unread messages are the last ones. Their number
    /// is estimated from above, by the memory that each message takes at least.
    fn settle(&mut self, unread: usize) -> usize {
        let mut charge = 0;
        let is_unread = |message: &&SentMessage| {
            charge += message.charge;
            charge <= unread
        };
        let unread = self.messages.iter().rev().take_while(is_unread).count();
        let received = self.messages.len() - unread;
        let handles = self.messages.drain(..received).map(|message| message.handles).sum();
        self.handles -= handles;
        handles
    }
}

impl PeerSocket {
    /// Wraps the only copy of a socket to this peer.
    pub(crate) fn new(socket: Seqpacket, peer: Arc<Quota>) -> Self {
        Self::of(socket, peer, false)
    }

    /// Wraps one of several copies of a socket to this peer. Other holders have the others.
    pub(crate) fn shared(socket: Seqpacket, peer: Arc<Quota>) -> Self {
        Self::of(socket, peer, true)
    }

    fn of(socket: Seqpacket, peer: Arc<Quota>, is_shared: bool) -> Self {
        let (owner, sent) = (ProcessMark::current(), Mutex::default());
        Self(Arc::new(SharedSocket { socket: Some(socket), peer, owner, is_shared, sent }))
    }

    /// Returns the quota of the peer.
    pub(crate) fn peer_quota(&self) -> &Arc<Quota> {
        &self.0.peer
    }

    /// Sends one message with its handles, without waiting.
    ///
    /// # Errors
    /// `QuotaExceeded` if the message would exceed the peer's limit of handles in flight, and the
    /// errors of [`Seqpacket::send`].
    #[inline(always)]
    pub(crate) fn send(
        &self,
        parts: &[IoSlice<'_>],
        handles: &[BorrowedHandle<'_>],
    ) -> io::Result<()> {
        match handles.len() {
            0 => self.0.socket().send(parts, &[]),
            _ => self.send_handles(parts, handles),
        }
    }

    fn send_handles(
        &self,
        parts: &[IoSlice<'_>],
        handles: &[BorrowedHandle<'_>],
    ) -> io::Result<()> {
        if !self.0.send_handles(parts, handles)? {
            self.0.in_flight().look();
            if !self.0.send_handles(parts, handles)? {
                return Err(io::Error::new(io::ErrorKind::QuotaExceeded, TOO_MANY));
            }
        }
        Ok(())
    }

    /// Closes the socket of a peer that was refused, after a last message without handles was sent.
    /// The peer can still receive that message. The socket isn't kept open for it, because refused
    /// connections have no limit.
    ///
    /// First receives what the peer has sent, usually its hello. If a socket is closed with unread
    /// messages, the kernel reports `ECONNRESET` to the peer before the last message.
    pub(crate) fn refuse(&self) {
        self.0.socket().shut_down();
        let mut byte = [0];
        for _ in 0..UNREAD_OF_REFUSED_MAX {
            let mut handles = ReceivedHandles::new();
            let received = handles.receive(self.0.socket(), &mut byte);
            handles.sent_by(&self.0.peer);
            if !received.is_ok_and(|received| received.len > 0) {
                break;
            }
        }
        let mut sent = self.0.sent();
        sent.is_kept |= sent.handles == 0;
    }

    /// Stops using the socket. It stays open while the peer has messages to receive.
    pub(crate) fn leave(&self) {
        if self.0.owner.is_current()
            && self.0.has_unreceived()
            && !std::mem::replace(&mut self.0.sent().is_kept, true)
        {
            if !self.0.is_shared {
                self.0.socket().shut_down();
            }
            in_flight::keep(self.0.clone());
        }
    }
}

impl SharedSocket {
    /// Sends one message with handles. Returns `false` if the peer has too many in flight.
    fn send_handles(
        self: &Arc<Self>,
        parts: &[IoSlice<'_>],
        handles: &[BorrowedHandle<'_>],
    ) -> io::Result<bool> {
        let count = handles.len();
        // The lock is held while the message is sent, so that `messages` has the order in which the
        // peer receives them. Sending doesn't wait.
        let mut sent = self.sent();
        // The query costs a system call, so it is made only if many handles are in flight.
        if sent.handles >= ASK_FROM {
            self.settle(&mut sent);
        }
        let fits = self.in_flight().take(count) || {
            self.settle(&mut sent);
            self.in_flight().take(count)
        };
        if !fits {
            return Ok(false);
        }
        if let Err(error) = self.socket().send(parts, handles) {
            self.in_flight().give_back(count);
            return Err(error);
        }
        let len: usize = parts.iter().map(|part| part.len()).sum();
        sent.messages.push_back(SentMessage { handles: count, charge: len + CHARGE_MIN });
        sent.handles += count;
        if !std::mem::replace(&mut sent.is_known, true) {
            self.in_flight().add(Arc::<Self>::downgrade(self));
        }
        Ok(true)
    }

    /// Subtracts the handles that the peer has received. Returns whether the peer has messages to
    /// receive.
    fn settle(&self, sent: &mut SentHandles) -> bool {
        let unread = self.socket().unread_bytes().unwrap_or_default();
        self.in_flight().give_back(sent.settle(unread));
        unread > 0
    }

    /// Shuts the connection down unless the socket is shared. Returns whether it can be closed in
    /// place.
    fn close_in_place(&self, socket: &Seqpacket) -> bool {
        match self.is_shared {
            // The peer can still fill the queue after this check, so that closing the socket takes
            // long. A process that shares a door trusts the peer not to do so.
            true => matches!(socket.wait_readable(now()), Ok(false)),
            false => socket.end_and_check_empty(),
        }
    }

    fn sent(&self) -> MutexGuard<'_, SentHandles> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn socket(&self) -> &Seqpacket {
        match &self.socket {
            Some(socket) => socket,
            None => unreachable!("the socket is taken only by `drop`"),
        }
    }
}

impl SentQueue for SharedSocket {
    fn has_unreceived(&self) -> bool {
        self.settle(&mut self.sent())
    }

    fn has_handles_in_flight(&self) -> bool {
        self.sent().handles > 0
    }

    #[inline]
    fn in_flight(&self) -> &InFlight {
        self.peer.in_flight()
    }
}

/// Result of a wait for a message.
pub(crate) enum PeerEvent {
    Message,
    Deadline,
    /// The process that made the other end of the socket has ended.
    Death,
}

/// Waits for a message on `socket` while the process that made the other end of `of` lives.
///
/// The socket alone does not reveal the death of that process if another process holds the other
/// end. This may even be the calling process, if the peer has passed that end to it.
///
/// # Errors
/// The errors of [`WaitMode::readable`].
pub(crate) async fn wait_for_peer(
    mode: WaitMode,
    socket: &Seqpacket,
    of: &Seqpacket,
    until: Instant,
) -> io::Result<PeerEvent> {
    loop {
        let next = until.min(now() + INTERVAL);
        if mode.readable(socket, next).await? {
            return Ok(PeerEvent::Message);
        }
        if of.peer_has_ended() {
            // The peer may have sent a last message before it ended.
            let is_message = socket.wait_readable(now())?;
            return Ok(if is_message { PeerEvent::Message } else { PeerEvent::Death });
        }
        if next == until {
            return Ok(PeerEvent::Deadline);
        }
    }
}

impl Drop for PeerSocket {
    fn drop(&mut self) {
        self.leave();
        if self.0.owner.is_current() {
            in_flight::look_at_kept();
        }
    }
}

/// A forked copy only closes its descriptor, because the connection belongs to the original
/// process.
impl Drop for SharedSocket {
    fn drop(&mut self) {
        let Some(socket) = self.socket.take() else { return };
        if self.owner.is_current() {
            self.in_flight().give_back(self.sent().handles);
            if !self.close_in_place(&socket) {
                self.peer.close(socket.into());
            }
        }
    }
}

impl Deref for PeerSocket {
    type Target = Seqpacket;

    #[inline]
    fn deref(&self) -> &Seqpacket {
        self.0.socket()
    }
}

impl AsFd for PeerSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.deref().as_fd()
    }
}

/// Interval of the checks whether a peer's process lives: the longest delay until a death that the
/// socket doesn't report is noticed.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);

/// Number of messages of a refused peer that are received before its socket is closed. A client
/// sends nothing but its hello before it is greeted.
const UNREAD_OF_REFUSED_MAX: usize = 4;

/// Error text for handles beyond the peer's limit of handles in flight.
const TOO_MANY: &str =
    "too many handles are in flight to this process, which does not receive them";

/// Number of handles in flight over one socket from which on each send queries the kernel. Below
/// this number, the kernel is queried only when the peer reaches its limit.
const ASK_FROM: usize = 64;

/// Lower bound of the memory that the kernel charges for a message in addition to its bytes. The
/// kernel's `struct sk_buff` alone is larger.
const CHARGE_MIN: usize = 192;
