//! Sockets whose last close blocks until the sender unblocks it.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::net::sockopt;
use syshandle_os::Seqpacket;

/// A TCP socket whose last close blocks as long as this value exists. The socket has unsent data
/// that the other end never receives, and `SO_LINGER` makes the close wait until the data is sent.
#[derive(Debug)]
pub struct LingeringSocket {
    handle: Option<OwnedFd>,
    _peer: TcpStream,
}

impl LingeringSocket {
    /// Creates a socket.
    ///
    /// # Errors
    /// Returns an error if no file descriptors or memory are available.
    pub fn new() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        // Small buffers permit many sockets.
        sockopt::set_socket_recv_buffer_size(&listener, BUFFER)?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        let (peer, _) = listener.accept()?;
        sockopt::set_socket_send_buffer_size(&stream, BUFFER)?;
        sockopt::set_socket_linger(&stream, Some(LINGER))?;
        stream.set_nonblocking(true)?;
        while io::Write::write(&mut &stream, &[0; 4096]).is_ok() {}
        Ok(Self { handle: Some(stream.into()), _peer: peer })
    }

    /// Takes the socket out, to send it. Its last close blocks.
    ///
    /// # Errors
    /// Returns an error if the socket was already taken.
    pub fn take(&mut self) -> io::Result<OwnedFd> {
        self.handle.take().ok_or_else(|| io::Error::other("the handle was taken"))
    }

    /// Takes the socket out, inside another socket whose receive queue contains it. Closing the
    /// other socket also closes this one.
    ///
    /// # Errors
    /// Returns an error if this process can't open more file descriptors.
    pub fn take_nested(&mut self) -> io::Result<OwnedFd> {
        let (inner, outer) = Seqpacket::pair()?;
        inner.send(&[io::IoSlice::new(b"x")], &[self.take()?.as_fd()])?;
        Ok(outer.into())
    }
}

const BUFFER: usize = 4096;

/// Linger time, which is longer than any test waits. Dropping the [`LingeringSocket`] closes the
/// other end, which unblocks the close earlier.
const LINGER: Duration = Duration::from_secs(300);
