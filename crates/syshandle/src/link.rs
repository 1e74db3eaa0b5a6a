//! The transport of both sides of a connection: frames over a socket, large bodies through shared
//! memory.

use std::io::{self, IoSlice};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use syshandle_os::{BorrowedHandle, MESSAGES_AT_ONCE_MAX, ReceivedMessage, SharedReader};
use syshandle_types::{ByteSource, Payload};
use syshandle_wire::{Body, CoreHint, Features, FrameKind, Header, RingSide, Violation};

use crate::arena::{IncomingArena, OutgoingArena};
use crate::batch::Batch;
use crate::buffer::{FrameBuffer, give_bytes, take_bytes};
use crate::peer_socket::PeerSocket;
use crate::received_handles::ReceivedHandles;
use crate::ring::Rings;
use crate::spin::{Spin, here};
use crate::sync::{receive_within, wait_until};

/// A socket and the shared memory of each direction. The memory is created on first use.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: PeerSocket,
    outgoing: OutgoingArena,
    incoming: IncomingArena,
    /// The core on which the sender of the last frame ran.
    peer: AtomicU8,
    /// Set if both sides permit rings.
    rings: OnceLock<Box<Rings>>,
}

/// The reason why the bytes of a body are not available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The handle of the shared memory was lost in transit.
    Lost,
    /// The memory exceeds the client's quota. Contains the name of the limit.
    PastLimit(&'static str),
    /// The peer violated the protocol.
    Violation(Violation),
}

impl Link {
    pub(crate) fn new(socket: PeerSocket) -> Self {
        let (outgoing, incoming) = (OutgoingArena::default(), IncomingArena::default());
        Self { socket, outgoing, incoming, peer: AtomicU8::new(0), rings: OnceLock::new() }
    }

    /// Permits rings, if the feature is in effect.
    pub(crate) fn set_features(&self, features: Features, side: RingSide) {
        if features.contains(Features::RINGS) {
            let _ = self.rings.set(Box::new(Rings::new(side)));
        }
    }

    /// Sends a frame, after copying a large body to shared memory. Doesn't wait.
    ///
    /// # Errors
    /// `WouldBlock` if no part of the frame was sent.
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
            self.send_pieces(&[IoSlice::new(&head[..head_len])], &[memory])
        })?;
        // Copies the body directly to the memory that the peer reads.
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

    /// Sends frames with inline bodies and without handles in one system call. Doesn't wait. Returns
    /// the number of frames that were sent, which is at least one.
    ///
    /// # Errors
    /// `WouldBlock` if no frame was sent.
    pub(crate) fn send_several<'f, 'p: 'f>(
        &self,
        frames: impl Iterator<Item = (&'f Header, &'f Payload<'p>)>,
    ) -> io::Result<usize> {
        let (mut bytes, mut ends) = (take_bytes(), [0; MESSAGES_AT_ONCE_MAX]);
        let mut count = 0;
        for ((header, body), end) in frames.zip(&mut ends) {
            append_frame(header, &body.as_slice(), &mut bytes);
            *end = bytes.len();
            count += 1;
        }
        let mut pieces = [IoSlice::new(&[]); MESSAGES_AT_ONCE_MAX];
        let mut start = 0;
        for (piece, end) in pieces.iter_mut().zip(ends).take(count) {
            *piece = IoSlice::new(&bytes[start..end]);
            start = end;
        }
        let sent = self.send_frames(&pieces[..count]);
        give_bytes(bytes);
        sent
    }

    /// Sends encoded frames without handles. Doesn't wait. Returns the number of frames that were
    /// sent, which is at least one.
    ///
    /// # Errors
    /// `WouldBlock` if no frame was sent.
    pub(crate) fn send_frames(&self, frames: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.rings.get() {
            Some(rings) => rings.send_several(&self.socket, frames),
            None => self.socket.send_several(frames),
        }
    }

    /// Sends one frame in pieces, through the ring or the socket.
    #[inline]
    fn send_pieces(
        &self,
        pieces: &[IoSlice<'_>],
        handles: &[BorrowedHandle<'_>],
    ) -> io::Result<()> {
        match self.rings.get() {
            Some(rings) => rings.send(&self.socket, pieces, handles),
            None => self.socket.send(pieces, handles),
        }
    }

    /// Sends a frame whose body is in the frame, or already in shared memory.
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
        // A small body is copied next to the header, because sending one buffer costs the kernel
        // less than sending a list of buffers.
        let (head, room) = piece.split_at_mut(head_len);
        if !header.entries.is_empty() {
            let table = header.entries.as_bytes();
            let pieces = [IoSlice::new(head), IoSlice::new(table), IoSlice::new(body)];
            return self.send_pieces(&pieces, handles);
        }
        match room.get_mut(..body.len()) {
            Some(place) => {
                place.copy_from_slice(body);
                self.send_pieces(&[IoSlice::new(&piece[..head_len + body.len()])], handles)
            }
            None => self.send_pieces(&[IoSlice::new(head), IoSlice::new(body)], handles),
        }
    }

    /// Records the core of the peer from a received frame.
    pub(crate) fn set_peer(&self, frame: &[u8]) {
        self.peer.store(CoreHint::of_sender(frame).as_byte(), Ordering::Relaxed);
    }

    /// Returns the core on which the peer sent its last frame. Usually the peer still runs there.
    pub(crate) fn peer(&self) -> CoreHint {
        CoreHint::from_byte(self.peer.load(Ordering::Relaxed))
    }

    /// Sends a frame without a body.
    pub(crate) fn send_header(&self, header: &Header) -> io::Result<()> {
        self.send_inline(header, &[], &[])
    }

    /// Sends the last frame of this side. If the peer isn't reading and the socket is full, first
    /// enlarges the send buffer.
    pub(crate) fn send_last(&self, header: &Header, body: &[u8]) -> io::Result<()> {
        match self.send_inline(header, body, &[]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.socket.enlarge_room()?;
                self.send_inline(header, body, &[])
            }
            result => result,
        }
    }

    /// Sends a frame and waits until `deadline` for space in the socket. Receives nothing during
    /// the wait.
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

    /// Creates the memory that this side writes for a body of `len` bytes, unless the memory
    /// exists. Returns its size.
    pub(crate) fn prepare_outgoing(&self, len: usize) -> io::Result<usize> {
        self.outgoing.prepare(len, self.socket.peer_quota())
    }

    /// Returns the memory that this side writes.
    pub(crate) fn outgoing(&self) -> &OutgoingArena {
        &self.outgoing
    }

    /// Receives a frame into `buffer`. Waits up to `timeout`, if a time is given.
    #[inline]
    pub(crate) fn receive(
        &self,
        buffer: &mut FrameBuffer,
        handles: &mut ReceivedHandles,
        timeout: Option<Duration>,
    ) -> io::Result<ReceivedMessage> {
        let received = match self.rings.get() {
            Some(rings) => rings.receive(&self.socket, buffer, handles, timeout)?,
            None => {
                let received = receive_within(timeout, |timeout| match timeout {
                    Some(timeout) => handles.receive_within(&self.socket, buffer, timeout),
                    None => handles.receive(&self.socket, buffer),
                })?;
                handles.sent_by(self.socket.peer_quota());
                received
            }
        };
        self.set_peer(&buffer[..received.len]);
        Ok(received)
    }

    /// Receives up to `count` waiting frames. Waits up to `timeout` for the first one, if a time is
    /// given. Without a time, fewer frames than `count` mean that no other frame is there, and that
    /// the socket will be readable when the next one comes.
    pub(crate) fn receive_several(
        &self,
        batch: &mut Batch,
        count: usize,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let last = match self.rings.get() {
            None => batch.receive(&self.socket, count, timeout)?,
            Some(rings) => batch.fill(count, |buffer, handles, is_first| match timeout {
                Some(_) if !is_first => {
                    let received = rings.take_from_ring(buffer, handles)?;
                    received.ok_or_else(|| io::ErrorKind::WouldBlock.into())
                }
                timeout => rings.receive(&self.socket, buffer, handles, timeout),
            })?,
        };
        self.set_peer(last);
        Ok(())
    }

    /// Waits for a frame in the ring, if the peer uses the ring. Returns whether it does. The frame
    /// may still be missing afterwards. A thread that may sleep does so for some milliseconds.
    #[inline]
    pub(crate) fn wait_for_ring(&self, spin: &Spin, until: Instant, may_sleep: bool) -> bool {
        self.rings.get().is_some_and(|rings| rings.wait((spin, self.peer()), until, may_sleep))
    }

    /// Arms the ring, so that the socket is readable when the next frame comes. Returns whether a
    /// frame is there already.
    #[inline]
    pub(crate) fn arm_ring(&self) -> bool {
        self.rings.get().is_some_and(|rings| rings.arm())
    }

    /// Returns whether a frame may be in the ring without the socket being readable.
    #[inline]
    pub(crate) fn needs_look(&self) -> bool {
        self.rings.get().is_some_and(|rings| rings.needs_look())
    }

    /// Takes the handle of the memory that the peer writes, unless the handle was lost in transit.
    pub(crate) fn set_incoming(&self, handles: &mut ReceivedHandles) -> Result<(), Violation> {
        if self.incoming.reader().is_some() {
            // The peer sends the handle twice if it was reported lost for two messages.
            return Ok(());
        }
        match self.incoming.set(handles.pop(), self.socket.peer_quota()) {
            Ok(()) => Ok(()),
            Err((handle, result)) => {
                handles.push(handle);
                result
            }
        }
    }

    /// Checks that the bytes of a body are available, in the frame or in the peer's memory. If the
    /// handle of the memory was lost, tells the peer so.
    pub(crate) fn check_body(&self, body: Body) -> Result<(), BodyError> {
        let Body::Shared { offset, len } = body else { return Ok(()) };
        let Some(reader) = self.incoming.reader() else {
            if !self.incoming.is_lost() {
                return Err(BodyError::Violation(Violation::BadArena));
            }
            // If the socket is full, this frame is sent again for the next message that needs the
            // memory.
            let _ = self.send_header(&Header::new(FrameKind::Arena));
            return Err(BodyError::Lost);
        };
        if !reader.contains(offset as usize, len as usize) {
            return Err(BodyError::Violation(Violation::BadArena));
        }
        self.incoming.count(offset as usize + len as usize).map_err(BodyError::PastLimit)
    }

    /// Returns the location of a checked body in the peer's memory, and its length.
    pub(crate) fn range(&self, body: Body) -> (ArenaRange<'_>, usize) {
        let (start, len) = match body {
            Body::Shared { offset, len } => (offset as usize, len as usize),
            Body::Inline { .. } => (0, 0),
        };
        (ArenaRange { reader: self.incoming.reader(), start }, len)
    }

    /// Returns a copy of the bytes of a body in the peer's memory, or `None` if they are not
    /// available.
    pub(crate) fn copy(&self, body: Body) -> Option<Vec<u8>> {
        let (range, len) = self.range(body);
        let mut copy = Vec::with_capacity(len);
        range.append(0, len, &mut copy).then_some(copy)
    }
}

/// Appends a frame with an inline body to the frames that will be sent together.
pub(crate) fn append_frame(header: &Header, body: &[u8], out: &mut Vec<u8>) {
    let mut head = [0; Header::LEN_MAX];
    let head_len = header.write(&mut head);
    here().write(&mut head);
    out.extend_from_slice(&head[..head_len]);
    out.extend_from_slice(header.entries.as_bytes());
    out.extend_from_slice(body);
}

/// A range of the peer's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArenaRange<'l> {
    reader: Option<&'l SharedReader>,
    start: usize,
}

impl ByteSource for ArenaRange<'_> {
    fn copy(&self, at: usize, out: &mut [u8]) -> bool {
        self.reader.is_some_and(|reader| reader.copy(self.start + at, out))
    }

    fn append(&self, at: usize, len: usize, out: &mut Vec<u8>) -> bool {
        self.reader.is_some_and(|reader| reader.read(self.start + at, len, out))
    }
}

/// Maximum size of a header and body that are copied into one buffer. Most calls are smaller.
const PIECE_MAX: usize = 128;
const _: () = assert!(PIECE_MAX >= Header::LEN_MAX);
