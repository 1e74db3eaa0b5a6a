//! How a connection begins: the server greets, the client answers.

use std::io;
use std::time::Instant;

use syshandle_os::{Received, Seqpacket};
use syshandle_wire::{ClientEnd, Fault, Greeting, Hello, Violation};

use super::connection::Connection;
use super::ended::failed;
use super::patience::{KERNEL_WAIT_LATE, KERNEL_WAIT_MIN};
use crate::arrived::Arrived;
use crate::buffer::FrameBuffer;
use crate::link::Link;
use crate::sync::{now, receive_within, wait_until};
use crate::{Error, ErrorKind, Result};

/// A connection that wasn't greeted yet.
pub(crate) struct Opening {
    socket: Seqpacket,
    frame: FrameBuffer,
    handles: Arrived,
    received: Option<Received>,
}

impl Opening {
    /// The connection that this socket becomes.
    pub(crate) fn new(socket: Seqpacket) -> Self {
        Self { socket, frame: FrameBuffer::take(), handles: Arrived::new(), received: None }
    }

    /// The socket, to find out who is at its other end.
    pub(crate) fn into_socket(self) -> Seqpacket {
        self.socket
    }

    /// Waits for the greeting, and answers it when the server offers the interface.
    ///
    /// # Errors
    /// Those of [`Opening::wait`], and `TimedOut`.
    pub(crate) fn open(mut self, hello: Hello, deadline: Instant) -> Result<Connection> {
        match self.wait(deadline)? {
            true => self.answer(hello, deadline),
            false => {
                let text = "the server did not greet in time";
                Err(Error::new(ErrorKind::TimedOut, text))
            }
        }
    }

    /// Waits for the greeting; `false` when it hasn't come by then.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] when the server goes without one: nothing has been sent then, so
    /// it is safe to try again.
    pub(crate) fn wait(&mut self, until: Instant) -> Result<bool> {
        loop {
            let left = until.saturating_duration_since(now());
            let waits = left > KERNEL_WAIT_MIN;
            let patience = waits.then(|| left.saturating_sub(KERNEL_WAIT_LATE));
            let received = receive_within(patience, |patience| match patience {
                Some(patience) => {
                    self.handles.receive_within(&self.socket, &mut self.frame, patience)
                }
                None => self.handles.receive(&self.socket, &mut self.frame),
            });
            match received {
                Ok(received) if received.len == 0 => return Err(ungreeted()),
                Ok(received) => {
                    self.received = Some(received);
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let socket = &self.socket;
                    if !wait_until(until, |until| socket.wait_readable(until)).map_err(failed)? {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(ungreeted().because(error)),
            }
        }
    }

    /// Answers the greeting that came, when the server offers the interface.
    pub(crate) fn answer(self, hello: Hello, deadline: Instant) -> Result<Connection> {
        let received = self.received.as_ref().ok_or_else(ungreeted)?;
        let (end, greeting) = ClientEnd::open(&self.frame[..received.len], self.handles.len())?;
        check_offer(&greeting, hello)?;
        let server = received.sender.ok_or(Violation::NotOurs)?;
        let Self { socket, frame, .. } = self;
        socket.stop_naming_senders().map_err(failed)?;
        let link = Link::new(socket);
        link.set_peer(&frame);
        let (header, body) = ClientEnd::<()>::hello(hello);
        link.send_by(&header, &body, deadline).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                let text = "the server ended before it was told what is wanted";
                Error::new(ErrorKind::Disconnected, text).because(error)
            }
            io::ErrorKind::TimedOut => {
                let text = "the server did not take the hello in time";
                Error::new(ErrorKind::TimedOut, text)
            }
            _ => failed(error),
        })?;
        Ok(Connection::new(link, server, end))
    }
}

/// Whether the server serves what the client wants.
fn check_offer(greeting: &Greeting, hello: Hello) -> Result<()> {
    let classes = || greeting.offers.iter().filter(|offer| offer.clsid == hello.clsid);
    let fault = match classes().next() {
        None => Fault::NoSuchClass(hello.clsid),
        Some(_) if classes().any(|offer| offer.iid == hello.iid) => return Ok(()),
        Some(_) => Fault::NoSuchInterface(hello.iid),
    };
    Err(Error::from_fault(&fault))
}

fn ungreeted() -> Error {
    Error::new(ErrorKind::Disconnected, "the server ended before it greeted")
}
