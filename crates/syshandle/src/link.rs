//! What both sides of a connection share: frames over a socket, large bodies through memory.

use std::borrow::Cow;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use syshandle_os::{BorrowedHandle, Received, Seqpacket, SharedReader, SharedWriter};
use syshandle_wire::{Body, FrameKind, Header, Limits, Violation};

use crate::arrived::Arrived;
use crate::buffer::take_bytes;

/// A socket and the shared memory of each direction, made when first needed.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: Seqpacket,
    outgoing: Mutex<Outgoing>,
    incoming: OnceLock<SharedReader>,
    /// The peer's memory was lost on the way: there were no descriptors left here.
    incoming_lost: AtomicBool,
}

/// The memory that this side writes.
#[derive(Debug, Default)]
struct Outgoing {
    writer: Option<Arc<SharedWriter>>,
    /// The peer has its handle.
    sent: bool,
}

/// Why the bytes of a body can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoBody {
    /// The memory where they are was lost on the way.
    Lost,
    /// The peer broke the rules.
    Violation(Violation),
}

impl Link {
    pub(crate) fn new(socket: Seqpacket) -> Self {
        Self {
            socket,
            outgoing: Mutex::default(),
            incoming: OnceLock::new(),
            incoming_lost: AtomicBool::new(false),
        }
    }

    /// Sends a frame, and before it what its body needs; doesn't wait.
    ///
    /// # Errors
    /// `WouldBlock`, and then nothing of this frame was sent.
    pub(crate) fn send(
        &self,
        header: &Header,
        body: &[u8],
        handles: &[BorrowedHandle<'_>],
    ) -> io::Result<()> {
        let mut head = [0; Header::LEN_MAX];
        let head_len = header.write(&mut head);
        let head = &head[..head_len];
        match header.body {
            Body::Inline { .. } => {
                self.socket.send(&[IoSlice::new(head), IoSlice::new(body)], handles)
            }
            Body::Shared { offset, .. } => {
                if !self.outgoing()?.write(offset as usize, body) {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                self.socket.send(&[IoSlice::new(head)], handles)
            }
        }
    }

    /// The same, waiting until `deadline` for room; nothing is read meanwhile.
    pub(crate) fn send_by(
        &self,
        header: &Header,
        body: &[u8],
        deadline: Instant,
    ) -> io::Result<()> {
        loop {
            match self.send(header, body, &[]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.socket.wait_writable(deadline)? {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                result => return result,
            }
        }
    }

    /// The memory that this side writes. The peer gets its handle before anything refers to it.
    fn outgoing(&self) -> io::Result<Arc<SharedWriter>> {
        let mut outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = match &outgoing.writer {
            Some(writer) => writer.clone(),
            None => Arc::new(SharedWriter::new(Limits::ARENA_BYTES)?),
        };
        if !outgoing.sent {
            let mut head = [0; Header::LEN_MAX];
            let header = Header { handles: 1, ..Header::new(FrameKind::Arena) };
            let head_len = header.write(&mut head);
            self.socket.send(&[IoSlice::new(&head[..head_len])], &[writer.as_fd()])?;
            *outgoing = Outgoing { writer: Some(writer.clone()), sent: true };
        }
        Ok(writer)
    }

    /// The peer has lost the handle of the memory: it is sent once more, when it is needed again.
    pub(crate) fn send_outgoing_again(&self) {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner).sent = false;
    }

    /// Receives a frame into `buffer`; doesn't wait.
    pub(crate) fn receive(&self, buffer: &mut [u8], handles: &mut Arrived) -> io::Result<Received> {
        handles.receive(&self.socket, buffer)
    }

    /// Takes the memory that the peer writes, unless its handle was lost on the way.
    pub(crate) fn set_incoming(&self, handles: &Arrived) -> Result<(), Violation> {
        let Some(handle) = handles.first() else {
            self.incoming_lost.store(true, Ordering::SeqCst);
            return Ok(());
        };
        if self.incoming.get().is_some() {
            // Sent once more for two messages that came while it was lost.
            return Ok(());
        }
        match SharedReader::new(handle.as_fd(), Limits::ARENA_BYTES) {
            Ok(reader) => {
                let _ = self.incoming.set(reader);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                self.incoming_lost.store(true, Ordering::SeqCst);
                Ok(())
            }
            Err(_) => Err(Violation::BadArena),
        }
    }

    /// The bytes of a body: those in the frame, or a copy of those in the peer's memory. When that
    /// was lost, the peer is told so.
    pub(crate) fn body<'f>(&self, body: Body, inline: &'f [u8]) -> Result<Cow<'f, [u8]>, NoBody> {
        let Body::Shared { offset, len } = body else { return Ok(inline.into()) };
        let Some(reader) = self.incoming.get() else {
            if !self.incoming_lost.load(Ordering::SeqCst) {
                return Err(NoBody::Violation(Violation::BadArena));
            }
            // Without room for it, the next message that is lost tells it.
            let _ = self.send(&Header::new(FrameKind::Arena), &[], &[]);
            return Err(NoBody::Lost);
        };
        let mut copy = take_bytes();
        match reader.read(offset as usize, len as usize, &mut copy) {
            true => Ok(copy.into()),
            false => Err(NoBody::Violation(Violation::BadArena)),
        }
    }
}
