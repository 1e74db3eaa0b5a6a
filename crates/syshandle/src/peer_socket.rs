//! A socket whose queues a peer can fill with handles.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syshandle_os::{BorrowedHandle, ProcessMark, Seqpacket};

use crate::in_flight::{self, InFlight};
use crate::server::shares::Share;
use crate::sync::now;

/// One end of a connection to a peer.
///
/// Messages that this process has not received may hold handles, and closing the socket closes those.
/// So the socket is closed in place only if its queue is empty, and in the background otherwise.
///
/// Messages that the peer has not received hold memory and handles of this process. The handles count in
/// the peer's limit of handles in flight. The socket is kept, and counts in the peer's quota of
/// descriptors, until the peer has received the messages or is gone.
#[derive(Debug)]
pub(crate) struct PeerSocket(Arc<SharedSocket>);

/// The socket, which may be kept longer than this process uses it.
#[derive(Debug)]
pub(crate) struct SharedSocket {
    /// `None` only while it is dropped.
    socket: Option<Seqpacket>,
    peer: Arc<Share>,
    owner: ProcessMark,
    /// Other holders of this end go on using it when this one is dropped.
    is_shared: bool,
    sent: Mutex<SentHandles>,
}

/// The handles that were sent over one socket and have not been received, as far as is known.
#[derive(Debug, Default)]
struct SentHandles {
    /// The messages that have handles, in the order in which they were sent.
    messages: VecDeque<SentMessage>,
    /// The handles of all of them.
    handles: usize,
    /// The count of the peer knows this socket.
    is_known: bool,
    /// The socket is kept until the peer has received the messages.
    is_kept: bool,
}

/// One message with handles.
#[derive(Debug)]
struct SentMessage {
    handles: usize,
    /// The least memory that the kernel charges for the message while it is unread.
    charge: usize,
}

impl SentHandles {
    /// Returns how many handles the peer has received, when `unread` bytes of memory are charged for
    /// the messages that it has not received. Forgets their messages.
    ///
    /// A queue is received in order, so the unread messages are the last ones. More messages than fit
    /// `unread` can't be among them.
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
    /// A socket to this peer.
    pub(crate) fn new(socket: Seqpacket, peer: Arc<Share>) -> Self {
        Self::of(socket, peer, false)
    }

    /// A copy of a socket to this peer, whose other copies other holders have.
    pub(crate) fn shared(socket: Seqpacket, peer: Arc<Share>) -> Self {
        Self::of(socket, peer, true)
    }

    fn of(socket: Seqpacket, peer: Arc<Share>, is_shared: bool) -> Self {
        let (owner, sent) = (ProcessMark::current(), Mutex::default());
        Self(Arc::new(SharedSocket { socket: Some(socket), peer, owner, is_shared, sent }))
    }

    /// The quota of the peer.
    pub(crate) fn peer_share(&self) -> &Arc<Share> {
        &self.0.peer
    }

    /// Sends one message with its handles, if the peer may have as many in flight; doesn't wait.
    ///
    /// # Errors
    /// Returns `QuotaExceeded` if it may not, and the errors of [`Seqpacket::send`].
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

    /// Keeps the socket, which this process does not use any more, while the peer has messages to
    /// receive.
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
    /// Whether messages wait for the peer to receive them.
    pub(crate) fn has_unreceived(&self) -> bool {
        self.settle(&mut self.sent())
    }

    /// Whether handles are in flight over this socket, as far as is known.
    pub(crate) fn has_handles_in_flight(&self) -> bool {
        self.sent().handles > 0
    }

    /// The count of the peer.
    pub(crate) fn in_flight(&self) -> &InFlight {
        self.peer.in_flight()
    }

    /// Sends one message with handles; `false` if the peer has too many in flight.
    fn send_handles(
        self: &Arc<Self>,
        parts: &[IoSlice<'_>],
        handles: &[BorrowedHandle<'_>],
    ) -> io::Result<bool> {
        let count = handles.len();
        // Locked while the message is sent, which doesn't wait: so the messages are known in the order
        // in which the peer receives them.
        let mut sent = self.sent();
        // Asking the kernel costs a system call, so it is asked for large numbers only.
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
            self.in_flight().add(self);
        }
        Ok(true)
    }

    /// Gives back the handles that the peer has received; returns whether messages wait for it.
    fn settle(&self, sent: &mut SentHandles) -> bool {
        let unread = self.socket().unread_bytes().unwrap_or_default();
        self.in_flight().give_back(sent.settle(unread));
        unread > 0
    }

    /// Ends the connection unless the socket is shared, and returns whether it can be closed in place.
    fn close_in_place(&self, socket: &Seqpacket) -> bool {
        match self.is_shared {
            // The peer can still fill the queue after this, and so delay a holder that trusts it with
            // the door.
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

impl Drop for PeerSocket {
    fn drop(&mut self) {
        self.leave();
        if self.0.owner.is_current() {
            in_flight::look_at_kept();
        }
    }
}

/// A forked copy closes its descriptor alone: the connection is the other process's.
impl Drop for SharedSocket {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take()
            && self.owner.is_current()
        {
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

/// The error of handles beyond the in-flight limit of a peer.
const TOO_MANY: &str =
    "too many handles are in flight to this process, which does not receive them";

/// A socket with fewer handles in flight is not asked about before its peer is at its limit.
const ASK_FROM: usize = 64;

/// The kernel charges at least this for a message beside its bytes: its `struct sk_buff` alone is
/// larger.
const CHARGE_MIN: usize = 192;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::in_flight::LOOK_EACH;

    /// Waits until no socket is kept for a peer.
    fn wait_for_the_kept_ones(peer: &Share) {
        let until = Instant::now() + Duration::from_secs(60);
        while peer.in_flight().kept_sockets() > 0 {
            assert!(Instant::now() < until, "a socket is kept for ever");
            std::thread::sleep(LOOK_EACH / 10);
            in_flight::look_at_kept();
        }
    }

    #[test]
    fn a_peer_that_receives_has_its_handles_counted_off_though_its_queue_is_never_empty() {
        let peer = Share::with_in_flight(100);
        let (ours, theirs) = Seqpacket::pair().unwrap();
        let socket = PeerSocket::new(ours, peer.clone());
        let send = |len: usize| {
            let body = vec![0; len];
            socket.send(&[IoSlice::new(&body)], &[socket.as_fd(); 5]).map_err(|error| error.kind())
        };
        let receive = || theirs.receive(&mut [0; 40_000], &mut Vec::new()).unwrap();
        for lens in [[28; 4], [30_000, 28, 28, 30_000]] {
            send(28).unwrap();
            for len in lens.into_iter().cycle().take(200) {
                send(len).unwrap();
                receive();
            }
            receive();
        }
        // What isn't received still counts.
        for _ in 0..20 {
            send(28).unwrap();
        }
        assert_eq!(send(28), Err(io::ErrorKind::QuotaExceeded));
    }

    #[test]
    fn a_dropped_socket_is_kept_until_the_peer_has_received_its_messages_or_is_gone() {
        let peer = Share::with_in_flight(10);
        let send_and_drop = || {
            let (ours, theirs) = Seqpacket::pair().unwrap();
            let socket = PeerSocket::new(ours, peer.clone());
            socket.send(&[IoSlice::new(&[0; 1000])], &[]).unwrap();
            theirs
        };
        let received = send_and_drop();
        assert_eq!(peer.in_flight().kept_sockets(), 1);
        received.receive(&mut [0; 1000], &mut Vec::new()).unwrap();
        wait_for_the_kept_ones(&peer);
        let gone = send_and_drop();
        assert_eq!(peer.in_flight().kept_sockets(), 1);
        drop(gone);
        wait_for_the_kept_ones(&peer);
        // An empty queue costs no look.
        drop(PeerSocket::new(Seqpacket::pair().unwrap().0, peer.clone()));
        assert_eq!(peer.in_flight().kept_sockets(), 0);
    }

    #[test]
    fn handles_count_until_the_peer_has_received_them_also_when_the_socket_is_dropped() {
        let peer = Share::with_in_flight(10);
        let pair = || {
            let (ours, theirs) = Seqpacket::pair().unwrap();
            (PeerSocket::new(ours, peer.clone()), theirs)
        };
        let send = |socket: &PeerSocket, count| {
            let handles = vec![socket.as_fd(); count];
            socket.send(&[IoSlice::new(b"x")], &handles).map_err(|error| error.kind())
        };
        let ((first, first_end), (second, second_end)) = (pair(), pair());
        send(&first, 6).unwrap();
        assert_eq!(send(&second, 6), Err(io::ErrorKind::QuotaExceeded));
        send(&second, 0).unwrap();
        send(&second, 4).unwrap();
        drop(first);
        assert_eq!(send(&second, 1), Err(io::ErrorKind::QuotaExceeded));
        assert_eq!(peer.in_flight().kept_sockets(), 1);
        first_end.receive(&mut [0; 8], &mut Vec::new()).unwrap();
        wait_for_the_kept_ones(&peer);
        send(&second, 6).unwrap();
        // A peer that is gone has nothing in flight.
        drop(second_end);
        let (third, _third_end) = pair();
        assert!(send(&second, 1).is_err());
        send(&third, 10).unwrap();
    }
}
