//! Handles whose last close blocks for as long as their sender likes.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::net::sockopt;
use syshandle_os::Seqpacket;

/// A TCP socket whose last close blocks while this lives: it has data to send that the other end
/// never receives, and waits for that (`SO_LINGER`).
#[derive(Debug)]
pub struct Hostage {
    handle: Option<OwnedFd>,
    _peer: TcpStream,
}

impl Hostage {
    /// Makes one.
    ///
    /// # Errors
    /// No descriptor or no memory left.
    pub fn new() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        // Little memory, so that there can be many.
        sockopt::set_socket_recv_buffer_size(&listener, BUFFER)?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        let (peer, _) = listener.accept()?;
        sockopt::set_socket_send_buffer_size(&stream, BUFFER)?;
        sockopt::set_socket_linger(&stream, Some(LINGER))?;
        stream.set_nonblocking(true)?;
        while io::Write::write(&mut &stream, &[0; 4096]).is_ok() {}
        Ok(Self { handle: Some(stream.into()), _peer: peer })
    }

    /// Takes the handle, to be sent. Its last close blocks.
    ///
    /// # Errors
    /// It was taken.
    pub fn take(&mut self) -> io::Result<OwnedFd> {
        self.handle.take().ok_or_else(|| io::Error::other("the handle was taken"))
    }

    /// Takes the handle inside the queue of a socket: closing that socket closes the handle.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn take_nested(&mut self) -> io::Result<OwnedFd> {
        let (inner, outer) = Seqpacket::pair()?;
        inner.send(&[io::IoSlice::new(b"x")], &[self.take()?.as_fd()])?;
        Ok(outer.into())
    }
}

const BUFFER: usize = 4096;

/// Longer than any test waits. The other end's close ends it before.
const LINGER: Duration = Duration::from_secs(300);
