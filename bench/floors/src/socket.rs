//! The sockets of the floors, and the way in which each floor waits for a message.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use bench_harness::sys::message::{self, Descriptors};
use bench_harness::{Result, SocketType};
use rustix::event::{PollFd, PollFlags};

use crate::protocol::{Message, What};

/// The floors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Floor {
    /// `SOCK_SEQPACKET`, blocking, a thread per connection.
    Seqpacket,
    /// `SOCK_STREAM`, blocking, a thread per connection.
    Stream,
    /// `SOCK_SEQPACKET`, with a reactor per core in the server.
    Epoll,
    /// `SOCK_SEQPACKET`; both sides poll and yield for a while before they block.
    PollYield,
    /// `SOCK_SEQPACKET`, several messages with one system call.
    Batch,
    /// `SOCK_SEQPACKET`, with large values in memory that is shared when the connection starts.
    Arena,
    /// `SOCK_SEQPACKET`, with a memory file for each large value.
    Memory,
}

impl Floor {
    pub(crate) fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "seqpacket" => Self::Seqpacket,
            "stream" => Self::Stream,
            "epoll" => Self::Epoll,
            "poll-yield" => Self::PollYield,
            "sendmmsg" => Self::Batch,
            "arena" => Self::Arena,
            "memfd" => Self::Memory,
            _ => return Err(format!("no floor is called `{name}`").into()),
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Seqpacket => "seqpacket",
            Self::Stream => "stream",
            Self::Epoll => "epoll",
            Self::PollYield => "poll-yield",
            Self::Batch => "sendmmsg",
            Self::Arena => "arena",
            Self::Memory => "memfd",
        }
    }

    pub(crate) fn socket_type(self) -> SocketType {
        match self {
            Self::Stream => SocketType::STREAM,
            _ => SocketType::SEQPACKET,
        }
    }
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    yields: bool,
}

impl Socket {
    pub(crate) fn new(fd: OwnedFd, floor: Floor) -> Self {
        Self { fd, yields: floor == Floor::PollYield }
    }

    /// Sends a message.
    pub(crate) fn send(&self, message: Message, handles: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = message.write();
        message::send(self.fd.as_fd(), &[IoSlice::new(&bytes)], handles, 0).map(drop)
    }

    /// Receives a message. Returns `None` at the end of the connection.
    pub(crate) fn receive(&self, handles: &mut Descriptors) -> Result<Option<Message>> {
        let mut bytes = [0; Message::LEN];
        match self.receive_into(&mut [IoSliceMut::new(&mut bytes)], handles)? {
            0 => Ok(None),
            Message::LEN => Message::read(&bytes).map(Some),
            _ => Err("half a message".into()),
        }
    }

    /// Sends a message and its bytes, in pieces that fit the socket's buffer.
    pub(crate) fn send_bytes(&self, message: Message, mut bytes: &[u8]) -> io::Result<()> {
        let head = message.write();
        let first = bytes.len().min(PIECE);
        let parts = [IoSlice::new(&head), IoSlice::new(&bytes[..first])];
        let sent = message::send(self.fd.as_fd(), &parts, &[], 0)?;
        bytes = &bytes[sent - Message::LEN..];
        while !bytes.is_empty() {
            let piece = &bytes[..bytes.len().min(PIECE)];
            bytes = &bytes[message::send(self.fd.as_fd(), &[IoSlice::new(piece)], &[], 0)?..];
        }
        Ok(())
    }

    /// Receives a message and its bytes into `bytes`, which must be large enough.
    pub(crate) fn receive_bytes(
        &self,
        bytes: &mut [u8],
        handles: &mut Descriptors,
    ) -> Result<Option<Message>> {
        let mut head = [0; Message::LEN];
        let mut parts = [IoSliceMut::new(&mut head), IoSliceMut::new(bytes)];
        let received = self.receive_into(&mut parts, handles)?;
        if received == 0 {
            return Ok(None);
        }
        let message = Message::read(&head)?;
        let len = match message.what {
            What::Bytes => message.number as usize,
            _ => 0,
        };
        let mut filled = received - Message::LEN;
        while filled < len {
            let mut parts = [IoSliceMut::new(&mut bytes[filled..len])];
            match self.receive_into(&mut parts, handles)? {
                0 => return Err("the bytes end early".into()),
                received => filled += received,
            }
        }
        Ok(Some(message))
    }

    fn receive_into(
        &self,
        parts: &mut [IoSliceMut<'_>],
        handles: &mut Descriptors,
    ) -> io::Result<usize> {
        if self.yields {
            let end = Instant::now() + PATIENCE;
            loop {
                match message::receive(self.fd.as_fd(), parts, handles, libc::MSG_DONTWAIT) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return result,
                }
                if Instant::now() >= end {
                    break;
                }
                rustix::thread::sched_yield();
            }
        }
        message::receive(self.fd.as_fd(), parts, handles, 0)
    }

    /// Waits for an event in the way in which this floor waits for messages.
    pub(crate) fn wait_for(&self, event: &OwnedFd) -> io::Result<()> {
        if !self.yields {
            return bench_harness::sparkle::wait(event);
        }
        let end = Instant::now() + PATIENCE;
        loop {
            match bench_harness::sparkle::wait(event) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            if Instant::now() < end {
                rustix::thread::sched_yield();
            } else {
                rustix::event::poll(&mut [PollFd::new(event, PollFlags::IN)], None)?;
            }
        }
    }

    /// Creates an event. It is non-blocking if this floor polls.
    pub(crate) fn event(&self) -> io::Result<OwnedFd> {
        match self.yields {
            true => bench_harness::sparkle::polled_event(),
            false => bench_harness::sparkle::event(),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Maximum size of a packet. Together with the kernel's overhead, it must fit the socket's buffer.
const PIECE: usize = 128 * 1024;

/// Time for which a side polls and yields before it blocks.
const PATIENCE: Duration = Duration::from_micros(50);
