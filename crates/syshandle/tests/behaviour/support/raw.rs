//! A client that doesn't use the library. It can send arbitrary frames over a socket.

use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use syshandle::Guid;
use syshandle::object::{Interface, Proxy};
use syshandle_os::Seqpacket;
use syshandle_types::Limits;
use syshandle_wire::{Body, FrameKind, Greeting, Header, Hello, Offer, ServerEnd};

use super::LONG;

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Raw(pub(crate) Seqpacket);

/// A received frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) header: Header,
    pub(crate) body: Vec<u8>,
    pub(crate) handles: Vec<OwnedFd>,
}

impl Raw {
    /// Connects, and sends nothing yet.
    pub(crate) fn connected(socket: &Path) -> Self {
        Self(Seqpacket::connect(socket, Instant::now() + LONG).unwrap())
    }

    /// Connects, and receives the greeting.
    pub(crate) fn greeted(socket: &Path) -> Self {
        let raw = Self::connected(socket);
        assert_eq!(raw.receive().unwrap().header.kind, FrameKind::Greeting);
        raw
    }

    /// Connects, and opens an object of a class.
    pub(crate) fn open(socket: &Path, clsid: Guid, iid: Guid) -> Self {
        let raw = Self::greeted(socket);
        raw.hello(clsid, iid);
        raw
    }

    /// Sends an attach frame with one end of a socket pair through a door, and returns the other
    /// end.
    pub(crate) fn return_channel(door: &Seqpacket) -> (Self, Seqpacket) {
        let (ours, theirs) = Seqpacket::pair().unwrap();
        let attach = Header { handles: 1, ..Header::new(FrameKind::Attach) };
        let mut head = [0; Header::LEN_MAX];
        let len = attach.write(&mut head);
        door.send(&[IoSlice::new(&head[..len])], &[theirs.as_fd()]).unwrap();
        (Self(ours), theirs)
    }

    /// Makes a connection through a door and receives the greeting. Returns the connection, and the
    /// end of the return channel that was sent to the server.
    pub(crate) fn attached(door: &Seqpacket) -> (Self, Seqpacket) {
        let (channel, theirs) = Self::return_channel(door);
        let answer = channel.receive().unwrap();
        assert_eq!(answer.header.kind, FrameKind::Attach);
        let raw = Self(Seqpacket::from(answer.handles.into_iter().next().unwrap()));
        assert_eq!(raw.receive().unwrap().header.kind, FrameKind::Greeting);
        (raw, theirs)
    }

    pub(crate) fn hello(&self, clsid: Guid, iid: Guid) {
        self.send(&Header::new(FrameKind::Hello), &Hello::new(clsid, iid).write(), &[]);
    }

    /// Calls a method.
    pub(crate) fn call(&self, call: u32, method: u32, body: &[u8], handles: &[BorrowedFd<'_>]) {
        let header = Header {
            call,
            code: method,
            timeout_ms: 60_000,
            handles: handles.len() as u16,
            ..Header::new(FrameKind::Call)
        };
        self.send(&header, body, handles);
    }

    /// Calls a method without arguments. Returns an error if the connection has ended.
    pub(crate) fn try_call(&self, call: u32, method: u32) -> std::io::Result<()> {
        let header = Header {
            call,
            code: method,
            timeout_ms: 60_000,
            body: Body::Inline { len: 0 },
            ..Header::new(FrameKind::Call)
        };
        self.send_as_it_is(&header, &[], &[])
    }

    /// Sends a frame, and sets the length of its body in the header.
    pub(crate) fn send(&self, header: &Header, body: &[u8], handles: &[BorrowedFd<'_>]) {
        let header = Header { body: Body::Inline { len: body.len() as u32 }, ..header.clone() };
        self.send_as_it_is(&header, body, handles).unwrap();
    }

    /// Sends a header and a body unchanged, whether or not they form a valid frame.
    pub(crate) fn send_as_it_is(
        &self,
        header: &Header,
        body: &[u8],
        handles: &[BorrowedFd<'_>],
    ) -> std::io::Result<()> {
        let mut head = [0; Header::LEN_MAX];
        let len = header.write(&mut head);
        let bytes = [&head[..len], header.entries.as_bytes(), body].concat();
        loop {
            match self.0.send(&[IoSlice::new(&bytes)], handles) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.0.wait_writable(Instant::now() + LONG)?;
                }
                result => return result,
            }
        }
    }

    /// Receives the next frame. Returns `None` at the end of the connection.
    pub(crate) fn receive(&self) -> Option<Frame> {
        let (mut bytes, mut handles) = (vec![0; Header::FRAME_MAX], Vec::new());
        loop {
            match self.0.receive(&mut bytes, &mut handles) {
                Ok(received) if received.len == 0 => return None,
                Ok(received) => {
                    let (header, body) = Header::read(&bytes[..received.len]).unwrap();
                    return Some(Frame { header, body: body.to_vec(), handles });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let deadline = Instant::now() + LONG;
                    assert!(self.0.wait_readable(deadline).unwrap(), "nothing comes");
                }
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Duplicates the handle of the next frame, and leaves the frame unread.
    pub(crate) fn peek_handle(&self) -> Option<OwnedFd> {
        assert!(self.0.wait_readable(Instant::now() + LONG).unwrap(), "nothing comes");
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = vec![0; Header::FRAME_MAX];
        let parts = &mut [IoSliceMut::new(&mut bytes)];
        recvmsg(&self.0, parts, &mut control, RecvFlags::PEEK | RecvFlags::CMSG_CLOEXEC).unwrap();
        control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut handles) => handles.next(),
            _ => None,
        })
    }

    /// Waits for the end of the connection.
    pub(crate) fn ends(&self) {
        while self.receive().is_some() {}
    }
}

/// Plays a server that has sent its greeting, and makes a client of it.
pub(crate) fn scripted_server<P: Proxy>() -> (Raw, P) {
    let (ours, theirs) = syshandle::direct::socket_pair().unwrap();
    let server = Raw(Seqpacket::adopt(theirs).unwrap());
    let offers = vec![Offer::new(Guid::NIL, P::Interface::DESCRIPTION.iid)];
    let (header, body) = ServerEnd::<()>::greeting(&Greeting::new(Limits::default(), offers));
    server.send(&header, &body, &[]);
    let client = syshandle::direct::from_socket(ours).unwrap();
    assert_eq!(server.receive().unwrap().header.kind, FrameKind::Hello);
    (server, client)
}
