//! Handles that were sent to a client and that the client has not received yet.
//!
//! The kernel counts the handles in the queues of all sockets for the user that sent them, and past
//! `RLIMIT_NOFILE` no process of that user can send any more (`ETOOMANYREFS`). A client that never
//! reads its replies would use the limit up for all clients, also after its connection has ended. So
//! they are counted in the client's quota until the kernel says that the client's queue is empty.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use syshandle_os::{BorrowedHandle, Seqpacket};
use syshandle_wire::{Header, Payload};

use super::connection::Connection;
use super::event_loop::Source;
use super::reactor::Reactor;
use super::shares::{Share, Taken};
use super::timers::Timer;
use crate::peer_socket::PeerSocket;
use crate::sync::{Mutex, MutexGuard, now};

/// The handles that one connection has in flight.
#[derive(Debug, Default)]
pub(super) struct InFlight(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// In messages that were sent.
    sent: usize,
    /// In messages that are being sent.
    sending: usize,
}

impl InFlight {
    /// Counts handles that are about to be sent; `false` if the client has too many in flight.
    fn begin(&self, share: &Share, socket: &Seqpacket, handles: usize) -> bool {
        let mut counts = self.counts();
        // Asking the kernel costs a system call: only where it matters.
        if counts.sent >= ASK_FROM {
            counts.settle(share, socket);
        }
        let fits = share.take_in_flight(handles) || {
            counts.settle(share, socket);
            share.take_in_flight(handles)
        };
        if fits {
            counts.sending += handles;
        }
        fits
    }

    /// The handles were sent, or were not.
    fn end(&self, share: &Share, handles: usize, is_sent: bool) {
        let mut counts = self.counts();
        counts.sending -= handles;
        if is_sent {
            counts.sent += handles;
        } else {
            share.give_back_in_flight(handles);
        }
    }

    /// Gives back what the client has received.
    fn settle(&self, share: &Share, socket: &Seqpacket) {
        self.counts().settle(share, socket);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn settle(&mut self, share: &Share, socket: &Seqpacket) {
        if self.sent > 0 && is_received(socket) {
            share.give_back_in_flight(std::mem::take(&mut self.sent));
        }
    }
}

/// Whether the other end has received all messages, or is closed.
fn is_received(socket: &Seqpacket) -> bool {
    socket.unread_bytes().is_ok_and(|bytes| bytes == 0)
}

impl Connection {
    /// Sends a reply, if the client may have as many handles in flight.
    ///
    /// # Errors
    /// `QuotaExceeded` if it may not; else those of [`Link::send`](crate::link::Link::send).
    #[inline(always)]
    pub(super) fn send_reply(
        &self,
        reactor: &Reactor,
        header: &Header,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
    ) -> io::Result<()> {
        match handles.len() {
            0 => self.link.send(header, body, handles),
            _ => self.send_with_handles(reactor, header, body, handles),
        }
    }

    fn send_with_handles(
        &self,
        reactor: &Reactor,
        header: &Header,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
    ) -> io::Result<()> {
        let (share, count) = (&self.session.share, handles.len());
        let begin = || self.in_flight.begin(share, &self.link.socket, count);
        if !begin() {
            reactor.settle_in_flight(share);
            if !begin() {
                let text = "too many handles are on their way to this client";
                return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
            }
        }
        let sent = self.link.send(header, body, handles);
        self.in_flight.end(share, count, sent.is_ok());
        sent
    }

    /// The connection has ended: keeps the socket while its handles are in the client's queue. After
    /// the socket is closed the kernel no longer tells.
    pub(super) fn leave_in_flight(&self, reactor: &Reactor, taken: Arc<Taken>) {
        let share = &self.session.share;
        let mut counts = self.in_flight.counts();
        counts.settle(share, &self.link.socket);
        let handles = std::mem::take(&mut counts.sent);
        drop(counts);
        if handles == 0 {
            return;
        }
        let unread = Unread { share: share.clone(), handles, _taken: taken };
        match self.link.socket.as_fd().try_clone_to_owned() {
            Ok(socket) => {
                let socket = PeerSocket::new(Seqpacket::from(socket), share.clone());
                reactor.in_flight.keep(reactor, socket, unread);
            }
            Err(error) => crate::log::warn!(%error, "handles in flight can't be counted any more"),
        }
    }
}

/// Handles in the queue of a client whose connection has ended.
#[derive(Debug)]
struct Unread {
    share: Arc<Share>,
    handles: usize,
    /// The connection counts as one until then.
    _taken: Arc<Taken>,
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.share.give_back_in_flight(self.handles);
    }
}

/// The sockets of ended connections whose clients have handles to receive.
#[derive(Debug, Default)]
pub(super) struct UnreadSockets(Mutex<Vec<(PeerSocket, Unread)>>);

impl UnreadSockets {
    fn keep(&self, reactor: &Reactor, socket: PeerSocket, unread: Unread) {
        let mut sockets = self.sockets();
        sockets.push((socket, unread));
        if sockets.len() == 1 {
            reactor.timers.set(now() + LOOK_EACH, Timer::Unread);
        }
    }

    /// Lets go of those whose clients have received everything, or are gone.
    pub(super) fn look(&self, reactor: &Reactor) {
        let mut sockets = self.sockets();
        let received: Vec<_> = sockets.extract_if(.., |(socket, _)| is_received(socket)).collect();
        if !sockets.is_empty() {
            reactor.timers.set(now() + LOOK_EACH, Timer::Unread);
        }
        drop(sockets);
        drop(received);
    }

    fn sockets(&self) -> MutexGuard<'_, Vec<(PeerSocket, Unread)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reactor {
    /// Asks the kernel what the connections of one client have received.
    #[cold]
    fn settle_in_flight(&self, share: &Arc<Share>) {
        if !share.may_settle(LOOK_EACH) {
            return;
        }
        for (_, source) in self.all_sources() {
            if let Source::Connection(connection) = source
                && Arc::ptr_eq(&connection.session.share, share)
            {
                connection.in_flight.settle(share, &connection.link.socket);
            }
        }
    }
}

/// A connection with fewer handles in flight is not asked about before its client is at its limit.
const ASK_FROM: usize = 64;

/// Pause between two looks at all connections of a client.
const LOOK_EACH: Duration = Duration::from_millis(200);
