//! A socket whose queue a peer can fill with handles.

use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use syshandle_os::{ProcessMark, Seqpacket};

use crate::server::shares::Share;
use crate::sync::now;

/// One end of a connection to a peer.
///
/// Messages that nobody has received may hold handles, and closing the socket closes those. So the
/// socket is closed in place only if its queue is empty, and in the background otherwise.
#[derive(Debug)]
pub(crate) struct PeerSocket {
    /// `None` only while it is dropped.
    socket: Option<Seqpacket>,
    peer: Arc<Share>,
    owner: ProcessMark,
    /// Other holders of this end go on using it when this one is dropped.
    is_shared: bool,
}

impl PeerSocket {
    /// A socket to this peer.
    pub(crate) fn new(socket: Seqpacket, peer: Arc<Share>) -> Self {
        Self { socket: Some(socket), peer, owner: ProcessMark::current(), is_shared: false }
    }

    /// A copy of a socket to this peer, whose other copies other holders have.
    pub(crate) fn shared(socket: Seqpacket, peer: Arc<Share>) -> Self {
        let mut copy = Self::new(socket, peer);
        copy.is_shared = true;
        copy
    }

    /// Ends the connection unless the socket is shared, and returns whether it can be closed in place.
    fn end(&self, socket: &Seqpacket) -> bool {
        match self.is_shared {
            // The peer can still fill the queue after this, and so delay a holder that trusts it with
            // the door.
            true => matches!(socket.wait_readable(now()), Ok(false)),
            false => socket.end_and_check_empty(),
        }
    }

    /// The quota of the peer.
    pub(crate) fn peer_share(&self) -> &Arc<Share> {
        &self.peer
    }
}

/// A forked copy closes its descriptor alone: the connection is the other process's.
impl Drop for PeerSocket {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take()
            && self.owner.is_current()
            && !self.end(&socket)
        {
            self.peer.close(socket.into());
        }
    }
}

impl Deref for PeerSocket {
    type Target = Seqpacket;

    #[inline]
    fn deref(&self) -> &Seqpacket {
        match &self.socket {
            Some(socket) => socket,
            None => unreachable!("the socket is taken only by `drop`"),
        }
    }
}

impl AsFd for PeerSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.deref().as_fd()
    }
}
