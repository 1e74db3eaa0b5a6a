//! What both sides of a connection share: frames over a socket, large bodies through memory.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use syshandle_os::{BorrowedHandle, Received, SharedReader};
use syshandle_wire::{Body, FrameKind, Header, Payload, Source, Violation, Whereabouts};

use crate::arrived::Arrived;
use crate::batch::Batch;
use crate::peer_socket::PeerSocket;
use crate::shared_memory::{Incoming, Outgoing};
use crate::spin::here;
use crate::sync::{receive_within, wait_until};

/// A socket and the shared memory of each direction, made when first needed.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: PeerSocket,
    outgoing: Outgoing,
    incoming: Incoming,
    /// Where the sender of the last frame ran.
    peer: AtomicU8,
}

/// Why the bytes of a body can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoBody {
    /// The memory where they are was lost on the way.
    Lost,
    /// The client's share has no memory left for them: the name of the limit.
    PastLimit(&'static str),
    /// The peer broke the rules.
    Violation(Violation),
}

impl Link {
    pub(crate) fn new(socket: PeerSocket) -> Self {
        let (outgoing, incoming) = (Outgoing::default(), Incoming::default());
        Self { socket, outgoing, incoming, peer: AtomicU8::new(0) }
    }

    /// Sends a frame, and before it what its body needs; doesn't wait.
    ///
    /// # Errors
    /// `WouldBlock`, and then nothing of this frame was sent.
    pub(crate) fn send(
        &self,
        header: &Header,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
    ) -> io::Result<()> {
        let Body::Shared { offset, len } = header.body else {
            return self.send_inline(header, &body.as_slice(), handles);
        };
        let end = offset as usize + len as usize;
        let outgoing = self.outgoing.allocate(end, |memory| {
            let mut head = [0; Header::LEN_MAX];
            let header = Header { handles: 1, ..Header::new(FrameKind::Arena) };
            let head_len = header.write(&mut head);
            self.socket.send(&[IoSlice::new(&head[..head_len])], &[memory])
        })?;
        // Straight to where the peer reads it.
        let mut place = offset as usize;
        let written = body.write(|part| {
            let written = outgoing.write(place, part);
            place += part.len();
            written
        });
        if !written {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.send_inline(header, &[], handles)
    }

    /// Sends a frame whose body goes in it, or has gone.
    fn send_inline(
        &self,
        header: &Header,
        body: &[u8],
        handles: &[BorrowedHandle<'_>],
    ) -> io::Result<()> {
        let mut piece = [0; PIECE_MAX];
        let Some(head) = piece.first_chunk_mut() else { unreachable!() };
        let head_len = header.write(head);
        here().write(head);
        // Few bytes go in one piece, which costs the kernel less than a list.
        let (head, room) = piece.split_at_mut(head_len);
        match room.get_mut(..body.len()) {
            Some(place) => {
                place.copy_from_slice(body);
                self.socket.send(&[IoSlice::new(&piece[..head_len + body.len()])], handles)
            }
            None => self.socket.send(&[IoSlice::new(head), IoSlice::new(body)], handles),
        }
    }

    /// A frame has come that said where the peer is.
    pub(crate) fn set_peer(&self, frame: &[u8]) {
        self.peer.store(Whereabouts::of_sender(frame).as_byte(), Ordering::Relaxed);
    }

    /// Where the peer ran when it sent the frame that came last: mostly where it still does.
    pub(crate) fn peer(&self) -> Whereabouts {
        Whereabouts::from_byte(self.peer.load(Ordering::Relaxed))
    }

    /// Sends a frame without a body.
    pub(crate) fn send_header(&self, header: &Header) -> io::Result<()> {
        self.send_inline(header, &[], &[])
    }

    /// Sends the last frame of this side, also to a peer that doesn't read now and has left no room in
    /// the socket: then makes more.
    pub(crate) fn send_last(&self, header: &Header, body: &[u8]) -> io::Result<()> {
        match self.send_inline(header, body, &[]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.socket.enlarge_room()?;
                self.send_inline(header, body, &[])
            }
            result => result,
        }
    }

    /// Sends a frame, waiting until `deadline` for room. Nothing is received meanwhile.
    pub(crate) fn send_by(
        &self,
        header: &Header,
        body: &[u8],
        deadline: Instant,
    ) -> io::Result<()> {
        loop {
            match self.send_inline(header, body, &[]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !wait_until(deadline, |until| self.socket.wait_for_room(until))? {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                result => return result,
            }
        }
    }

    /// Makes the memory that this side writes, for a body of so many bytes, unless it is there;
    /// returns its size.
    pub(crate) fn prepare_outgoing(&self, len: usize) -> io::Result<usize> {
        self.outgoing.prepare(len, self.socket.peer_share())
    }

    /// The memory that this side writes.
    pub(crate) fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// Receives a frame into `buffer`; waits for it no longer than `patience`, where there is any.
    #[inline]
    pub(crate) fn receive(
        &self,
        buffer: &mut [u8],
        handles: &mut Arrived,
        patience: Option<Duration>,
    ) -> io::Result<Received> {
        let received = receive_within(patience, |patience| match patience {
            Some(patience) => handles.receive_within(&self.socket, buffer, patience),
            None => handles.receive(&self.socket, buffer),
        })?;
        handles.sent_by(self.socket.peer_share());
        self.set_peer(&buffer[..received.len]);
        Ok(received)
    }

    /// Receives all frames that are there, as many as `count`; waits for the first one no longer than
    /// `patience`, where there is any.
    pub(crate) fn receive_several(
        &self,
        batch: &mut Batch,
        count: usize,
        patience: Option<Duration>,
    ) -> io::Result<()> {
        self.set_peer(batch.receive(&self.socket, count, patience)?);
        Ok(())
    }

    /// Takes the memory that the peer writes, unless its handle was lost on the way.
    pub(crate) fn set_incoming(&self, handles: &mut Arrived) -> Result<(), Violation> {
        if self.incoming.reader().is_some() {
            // Sent once more for two messages that came while it was lost.
            return Ok(());
        }
        match self.incoming.set(handles.pop(), self.socket.peer_share()) {
            Ok(()) => Ok(()),
            Err((handle, result)) => {
                handles.push(handle);
                result
            }
        }
    }

    /// Checks that the bytes of a body can be had: they are in the frame, or in the peer's memory.
    /// When that was lost, the peer is told so.
    pub(crate) fn check_body(&self, body: Body) -> Result<(), NoBody> {
        let Body::Shared { offset, len } = body else { return Ok(()) };
        let Some(reader) = self.incoming.reader() else {
            if !self.incoming.is_lost() {
                return Err(NoBody::Violation(Violation::BadArena));
            }
            // Without room for it, the next message that is lost tells it.
            let _ = self.send_header(&Header::new(FrameKind::Arena));
            return Err(NoBody::Lost);
        };
        if !reader.contains(offset as usize, len as usize) {
            return Err(NoBody::Violation(Violation::BadArena));
        }
        self.incoming.count(offset as usize + len as usize).map_err(NoBody::PastLimit)
    }

    /// The bytes of a body in the peer's memory, which was checked, and how many they are.
    pub(crate) fn range(&self, body: Body) -> (Range<'_>, usize) {
        let (start, len) = match body {
            Body::Shared { offset, len } => (offset as usize, len as usize),
            Body::Inline { .. } => (0, 0),
        };
        (Range { reader: self.incoming.reader(), start }, len)
    }

    /// A copy of those bytes; `None` where they aren't.
    pub(crate) fn copy(&self, body: Body) -> Option<Vec<u8>> {
        let (range, len) = self.range(body);
        let mut copy = Vec::with_capacity(len);
        range.append(0, len, &mut copy).then_some(copy)
    }
}

/// Appends a frame whose body goes in it and which is to be sent soon.
pub(crate) fn append_frame(header: &Header, body: &[u8], out: &mut Vec<u8>) {
    let mut head = [0; Header::LEN_MAX];
    let head_len = header.write(&mut head);
    here().write(&mut head);
    out.extend_from_slice(&head[..head_len]);
    out.extend_from_slice(body);
}

/// Bytes in the peer's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range<'l> {
    reader: Option<&'l SharedReader>,
    start: usize,
}

impl Source for Range<'_> {
    fn copy(&self, at: usize, out: &mut [u8]) -> bool {
        self.reader.is_some_and(|reader| reader.copy(self.start + at, out))
    }

    fn append(&self, at: usize, len: usize, out: &mut Vec<u8>) -> bool {
        self.reader.is_some_and(|reader| reader.read(self.start + at, len, out))
    }
}

/// A header and the bytes of most calls.
const PIECE_MAX: usize = 128;
const _: () = assert!(PIECE_MAX >= Header::LEN_MAX);
