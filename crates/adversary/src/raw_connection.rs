//! A connection that can send both valid and invalid frames.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use syshandle_os::{Credentials, OwnedHandle, Seqpacket};
use syshandle_types::Guid;
use syshandle_wire::{Body, Entry, Fault, FrameKind, Greeting, Header, Hello, Status};

use crate::poll::poll;

/// A connection to the server without the state of a client.
#[derive(Debug)]
pub struct RawConnection(pub Seqpacket);

/// A response of the server.
#[derive(Debug)]
pub enum Response {
    /// A greeting, with the credentials of the server process.
    Greeting(Greeting, Option<Credentials>),
    /// The server rejects or ends the connection, and reports the reason.
    Refused(Fault),
    /// The reply to a call.
    Reply {
        /// ID of the call.
        call: u32,
        /// The fault that the server reports, if any.
        fault: Option<Fault>,
        /// The handles in the reply.
        handles: Vec<OwnedHandle>,
        /// The numbers of objects in the reply.
        numbers: Vec<u32>,
    },
    /// The response on a return channel, with the client's end of the new connection.
    Attached(Option<OwnedHandle>),
    /// Any other frame.
    Frame(FrameKind),
    /// The server ended the connection.
    Closed,
    /// The server did not respond within the time limit.
    TimedOut,
    /// The server sent a message that is not a valid frame.
    Malformed,
}

impl RawConnection {
    /// Connects to the server. Does not receive the greeting.
    ///
    /// # Errors
    /// The errors of [`Seqpacket::connect`].
    pub fn connect(address: &Path) -> io::Result<Self> {
        Ok(Self(Seqpacket::connect(address, Instant::now() + RESPONSE_TIMEOUT)?))
    }

    /// Connects and receives the greeting. Retries while the server reports `Busy`, because it may
    /// still be releasing the resources of earlier attempts.
    ///
    /// # Errors
    /// Returns an error if the server responds with anything but a greeting or `Busy`.
    pub fn connect_greeted(address: &Path) -> io::Result<Self> {
        let connect = || {
            let connection = Self::connect(address)?;
            let response = connection.receive(RESPONSE_TIMEOUT);
            io::Result::Ok((connection, response))
        };
        let is_settled = |(_, response): &(Self, Response)| {
            !matches!(response, Response::Refused(Fault::Busy { .. }))
        };
        match poll(RESPONSE_TIMEOUT, connect, is_settled)? {
            (connection, Response::Greeting(..)) => Ok(connection),
            (_, other) => Err(io::Error::other(format!("the server doesn't greet: {other}"))),
        }
    }

    /// Connects, receives the greeting, and sends the hello.
    ///
    /// # Errors
    /// The errors of [`RawConnection::connect_greeted`].
    pub fn open(address: &Path, clsid: Guid, iid: Guid) -> io::Result<Self> {
        let connection = Self::connect_greeted(address)?;
        connection.send_frame(
            &Header::new(FrameKind::Hello),
            &Hello::new(clsid, iid).write(),
            &[],
        )?;
        Ok(connection)
    }

    /// Opens a connection through a door. Does not receive the greeting.
    ///
    /// # Errors
    /// The errors of `sendmsg(2)`, or an error if the server doesn't accept the connection.
    pub fn attach(door: &Seqpacket, within: Duration) -> io::Result<Self> {
        Ok(Self::attach_keeping_end(door, within)?.0)
    }

    /// Opens a connection through a door. Also returns a duplicate of the return channel's end that
    /// was sent to the server.
    pub(crate) fn attach_keeping_end(
        door: &Seqpacket,
        within: Duration,
    ) -> io::Result<(Self, Seqpacket)> {
        let (channel, theirs) = Self::request_attach_keeping_end(door)?;
        match channel.receive(within) {
            Response::Attached(Some(end)) => Ok((Self(Seqpacket::from(end)), theirs)),
            other => Err(io::Error::other(format!("the door does not open: {other}"))),
        }
    }

    /// Requests a connection through a door. Returns the return channel, on which the response
    /// arrives.
    ///
    /// # Errors
    /// The errors of `sendmsg(2)`.
    pub(crate) fn request_attach(door: &Seqpacket) -> io::Result<Self> {
        Ok(Self::request_attach_keeping_end(door)?.0)
    }

    fn request_attach_keeping_end(door: &Seqpacket) -> io::Result<(Self, Seqpacket)> {
        let (channel, theirs) = Seqpacket::pair()?;
        let attach = encode_header(&Header { handles: 1, ..Header::new(FrameKind::Attach) });
        let door = Self(Seqpacket::from(door.as_fd().try_clone_to_owned()?));
        door.send_bytes(&attach, &[theirs.as_fd()])?;
        Ok((Self(channel), theirs))
    }

    /// Duplicates the handle in the next message, and leaves the message in the queue. Returns
    /// `None` if the message has no handle.
    ///
    /// # Errors
    /// `TimedOut` if no message arrives within this time; otherwise the errors of `recvmsg(2)`.
    pub(crate) fn peek_handle(&self, within: Duration) -> io::Result<Option<OwnedHandle>> {
        if !self.0.wait_readable(Instant::now() + within)? {
            return Err(ErrorKind::TimedOut.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; Header::LEN];
        let parts = &mut [IoSliceMut::new(&mut bytes)];
        recvmsg(&self.0, parts, &mut control, RecvFlags::PEEK | RecvFlags::CMSG_CLOEXEC)?;
        Ok(control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut handles) => handles.next(),
            _ => None,
        }))
    }

    /// Sends a call.
    ///
    /// # Errors
    /// The errors of [`RawConnection::send_frame`].
    pub fn call(
        &self,
        call: u32,
        method: u32,
        body: &[u8],
        handles: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let header =
            Header { call, code: method, timeout_ms: 60_000, ..Header::new(FrameKind::Call) };
        self.send_frame(&header, body, handles)
    }

    /// Sends a frame, setting the length of the body and the number of handles in its header.
    ///
    /// # Errors
    /// The errors of [`RawConnection::send_bytes`].
    pub fn send_frame(
        &self,
        header: &Header,
        body: &[u8],
        handles: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let header = Header {
            body: Body::Inline { len: body.len() as u32 },
            handles: handles.len() as u16,
            ..header.clone()
        };
        self.send_bytes(&[&encode_header(&header), body].concat(), handles)
    }

    /// Sends arbitrary bytes as one message. Waits until the socket's buffer has room.
    ///
    /// # Errors
    /// Returns an error if the connection has ended, if there is no room within the time limit, or
    /// if the kernel rejects the message.
    pub fn send_bytes(&self, bytes: &[u8], handles: &[BorrowedFd<'_>]) -> io::Result<()> {
        let deadline = Instant::now() + RESPONSE_TIMEOUT;
        loop {
            match self.try_send_bytes(bytes, handles) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if Instant::now() >= deadline {
                        return Err(error);
                    }
                    // `wait_writable` also returns while there is something to read, so a pause
                    // avoids a busy loop.
                    self.0.wait_writable((Instant::now() + POLL_INTERVAL).min(deadline))?;
                    std::thread::sleep(Duration::from_micros(50));
                }
                result => return result,
            }
        }
    }

    /// Sends arbitrary bytes as one message without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if the socket's buffer has no room; otherwise the errors of
    /// [`RawConnection::send_bytes`].
    pub fn try_send_bytes(&self, bytes: &[u8], handles: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.0.send(&[IoSlice::new(bytes)], handles)
    }

    /// Receives the next response of the server, waiting at most this long.
    pub fn receive(&self, within: Duration) -> Response {
        let deadline = Instant::now() + within;
        let (mut bytes, mut handles) = (vec![0; Header::FRAME_MAX], Vec::new());
        loop {
            match self.0.receive(&mut bytes, &mut handles) {
                Ok(received) if received.len == 0 => return Response::Closed,
                Ok(received) => {
                    return Response::read(&bytes[..received.len], received.sender, handles);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    match self.0.wait_readable(deadline) {
                        Ok(true) => {}
                        Ok(false) | Err(_) => return Response::TimedOut,
                    }
                }
                // The server closed the connection before it read all frames from this side. Its
                // last frames can still be received.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                Err(_) => return Response::Closed,
            }
        }
    }

    /// Receives until the connection ends, and returns the reason for the end. Discards all other
    /// frames, but at most for the time limit of a response.
    pub fn receive_end(&self) -> Response {
        let deadline = Instant::now() + RESPONSE_TIMEOUT;
        loop {
            match self.receive(deadline.saturating_duration_since(Instant::now())) {
                Response::Greeting(..)
                | Response::Reply { .. }
                | Response::Attached(_)
                | Response::Frame(_) => {
                    if Instant::now() >= deadline {
                        return Response::TimedOut;
                    }
                }
                last => return last,
            }
        }
    }
}

impl Response {
    /// Returns whether a call that requests a handle succeeded, or failed with an error that names
    /// a limit of this client.
    pub(crate) fn is_reply_within_limits(&self) -> bool {
        let limited =
            |fault: &Fault| matches!(fault, Fault::Busy { .. } | Fault::Unsendable { .. });
        matches!(self, Self::Reply { fault, .. } if fault.as_ref().is_none_or(limited))
    }

    fn read(frame: &[u8], sender: Option<Credentials>, handles: Vec<OwnedHandle>) -> Self {
        let Ok((header, body)) = Header::read(frame) else { return Self::Malformed };
        match header.kind {
            FrameKind::Greeting => match Greeting::read(body) {
                Ok(greeting) => Self::Greeting(greeting, sender),
                Err(_) => Self::Malformed,
            },
            FrameKind::Refused => Fault::read(body).map_or(Self::Malformed, Self::Refused),
            FrameKind::Reply => {
                let is_fault = Status::from_number(header.code) == Some(Status::Fault);
                let fault = is_fault.then(|| Fault::read(body).ok()).flatten();
                let numbers = header.entries.iter().filter_map(|entry| match entry {
                    Entry::Object(number) => Some(number),
                    _ => None,
                });
                Self::Reply { call: header.call, fault, handles, numbers: numbers.collect() }
            }
            FrameKind::Attach => Self::Attached(handles.into_iter().next()),
            kind => Self::Frame(kind),
        }
    }
}

/// Formats the response for the table in a [`Report`](crate::Report).
impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Greeting(..) => f.write_str("greeted"),
            Self::Refused(fault) => write!(f, "refused: {fault}"),
            Self::Reply { fault: Some(fault), .. } => write!(f, "{fault}"),
            Self::Reply { fault: None, .. } => f.write_str("served"),
            Self::Attached(_) => f.write_str("attached"),
            Self::Frame(kind) => write!(f, "a frame: {kind:?}"),
            Self::Closed => f.write_str("closed"),
            Self::TimedOut => f.write_str("no response"),
            Self::Malformed => f.write_str("malformed frame"),
        }
    }
}

/// Encodes a header.
pub(crate) fn encode_header(header: &Header) -> Vec<u8> {
    let mut head = [0; Header::LEN_MAX];
    let len = header.write(&mut head);
    [&head[..len], header.entries.as_bytes()].concat()
}

/// A method number that no interface has. The server responds to a call of it without running a
/// method.
pub(crate) const NO_METHOD: u32 = u32::MAX / 2;

/// The number of the method that every object has, which returns a door to the object.
pub(crate) const DOOR: u32 = u32::MAX;

/// The number of the method that every object has, which returns the number of the object by one of
/// its interfaces.
pub(crate) const CAST: u32 = u32::MAX - 2;

/// Maximum time for each response of a server. A server that exceeds it has failed.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Poll interval while waiting for room in a socket's buffer.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Ignores the errors of sending that mean that the server has ended the connection. The server's
/// last frame contains the reason.
pub(crate) fn ignore_disconnect(sent: io::Result<()>) -> io::Result<()> {
    match sent {
        Err(error)
            if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) =>
        {
            Ok(())
        }
        sent => sent,
    }
}
