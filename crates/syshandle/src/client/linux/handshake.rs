//! Opens a connection: the client sends its hello, the server its greeting.
//!
//! The hello is sent before the greeting is received, so that the server finds it when it greets
//! and need not be woken again. The hello contains only a class and an interface. Everything else
//! waits for the greeting, which shows the server's identity and its classes.

use std::io;
use std::time::Instant;

use syshandle_os::{Peer, ReceivedMessage, Seqpacket};
use syshandle_types::Guid;
use syshandle_types::describe::Interface as Description;
use syshandle_wire::{ClientEnd, Fault, Features, Greeting, Hello, Offer, OpenError, Violation};

use super::connection::ClientConnection;
use super::deadline::{KERNEL_WAIT, KERNEL_WAIT_MIN};
use super::end_reason::{PeerName, failed};
use crate::buffer::FrameBuffer;
use crate::link::Link;
use crate::peer_socket::{PeerEvent, PeerSocket, wait_for_peer};
use crate::quota::Quota;
use crate::received_handles::ReceivedHandles;
use crate::ring;
use crate::sync::now;
use crate::wait_mode::WaitMode;
use crate::{Error, ErrorKind, Result, descriptions};

/// Connection whose greeting has not come yet.
pub(crate) struct ClientHandshake {
    link: Link,
    hello: HelloState,
    frame: FrameBuffer,
    handles: ReceivedHandles,
    received: Option<ReceivedMessage>,
}

/// Progress of the hello.
#[derive(Clone, Copy, Debug)]
enum HelloState {
    Sent(Hello),
    /// The socket had no room for the hello, which is sent after the greeting.
    Unsent(Hello),
    /// The hello names the first offer of the greeting with this class and this interface. Each may be
    /// [`Guid::NIL`], which stands for any.
    AnyClass(Hello),
}

impl ClientHandshake {
    /// Opens a connection over a socket of a server. Sends the hello if the socket has room for it.
    pub(crate) fn new(socket: Seqpacket, hello: Hello) -> Self {
        Self::over(to_server(socket), hello)
    }

    /// Opens a connection over the socket of a peer that has a quota already, like
    /// [`ClientHandshake::new`].
    pub(crate) fn over(socket: PeerSocket, hello: Hello) -> Self {
        syshandle_os::prepare_once();
        name_process(&socket);
        let link = Link::new(socket);
        let hello = announcing(hello);
        if hello.iid == Guid::NIL {
            return Self::with(link, HelloState::AnyClass(hello));
        }
        let (header, body) = ClientEnd::<()>::hello(hello);
        // If the server has ended, sending fails, but the server may have left a message with the
        // reason.
        let hello = match link.send(&header, &body.into(), &[]) {
            Ok(()) => HelloState::Sent(hello),
            Err(_) => HelloState::Unsent(hello),
        };
        Self::with(link, hello)
    }

    /// Opens a connection to the first class with this interface, of a server whose classes aren't
    /// known. The hello waits for the greeting, which lists the classes.
    pub(crate) fn to_any_class(socket: Seqpacket, hello: Hello) -> Self {
        syshandle_os::prepare_once();
        name_process(&socket);
        Self::with(Link::new(to_server(socket)), HelloState::AnyClass(announcing(hello)))
    }

    fn with(link: Link, hello: HelloState) -> Self {
        let (frame, handles) = (FrameBuffer::take(), ReceivedHandles::new());
        Self { link, hello, frame, handles, received: None }
    }

    /// Returns the socket.
    pub(crate) fn socket(&self) -> &Seqpacket {
        &self.link.socket
    }

    /// Returns the socket, for example to identify the peer.
    pub(crate) fn into_socket(self) -> PeerSocket {
        self.link.socket
    }

    /// Waits for the greeting and completes the handshake if the server offers the interface.
    ///
    /// # Errors
    /// The errors of [`ClientHandshake::wait`], and `TimedOut`.
    pub(crate) async fn open(
        mut self,
        mode: WaitMode,
        deadline: Instant,
    ) -> Result<ClientConnection> {
        match self.wait(mode, deadline).await? {
            true => self.finish(deadline),
            false => {
                let text = "timed out waiting for the greeting of the server";
                Err(Error::detected(ErrorKind::TimedOut, text))
            }
        }
    }

    /// Waits for the greeting. Returns `false` if it hasn't come at `until`.
    ///
    /// # Errors
    /// [`ErrorKind::Disconnected`] if the server ends before it greets. The server has run no call
    /// then, so another attempt is safe.
    pub(crate) async fn wait(&mut self, mode: WaitMode, until: Instant) -> Result<bool> {
        loop {
            let left = until.saturating_duration_since(now());
            let in_receive = matches!(mode, WaitMode::Thread) && left > KERNEL_WAIT_MIN;
            let timeout = in_receive.then_some(KERNEL_WAIT);
            let received = self.link.receive(&mut self.frame, &mut self.handles, timeout);
            match received {
                Ok(received) if received.len == 0 => return Err(ungreeted()),
                Ok(received) => {
                    self.received = Some(received);
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The server closed its end without reading the hello. Its own messages can still
                // be received.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let socket = &self.link.socket;
                    match wait_for_peer(mode, socket, socket, until).await.map_err(failed)? {
                        PeerEvent::Message => {}
                        PeerEvent::Deadline => return Ok(false),
                        PeerEvent::Death => return Err(ungreeted()),
                    }
                }
                Err(error) => return Err(ungreeted().because(error)),
            }
        }
    }

    /// Completes the handshake with the received greeting, if the server offers the interface.
    pub(crate) fn finish(mut self, deadline: Instant) -> Result<ClientConnection> {
        let mut received = self.received.take().ok_or_else(ungreeted)?;
        let frame = &self.frame[..received.len];
        let (end, greeting) = ClientEnd::open(frame, self.handles.len(), ring::features())?;
        let hello = match self.hello {
            HelloState::Sent(hello) | HelloState::Unsent(hello) => hello,
            HelloState::AnyClass(hello) => first_offer(&greeting, hello)?,
        };
        let offer = find_offer(&greeting, hello)?;
        let server = received.sender.ok_or(Violation::NotOurs)?;
        let Self { link, hello: state, .. } = self;
        link.socket.stop_naming_senders().map_err(failed)?;
        let process = received.sender_process.take();
        if process.is_some() {
            link.socket.stop_passing_sender_processes().map_err(failed)?;
        }
        if !matches!(state, HelloState::Sent(_)) {
            let said = say_hello(&link, hello, deadline);
            said.map_err(|error| refusal(&link).unwrap_or(error))?;
        }
        let peer_name = match hello.clsid {
            Guid::NIL => PeerName::Object,
            _ => PeerName::Server,
        };
        let description = match end.features().contains(Features::DESCRIPTION) {
            true => offer.description,
            false => 0,
        };
        Ok(ClientConnection::new(link, (server, process), peer_name, end, description))
    }
}

/// Returns the hello of a client with this description of its interface.
pub(crate) fn hello(clsid: Guid, interface: &'static Description) -> Hello {
    let description = descriptions::of(interface).hash;
    Hello { description, ..Hello::new(clsid, interface.iid) }
}

/// Returns the hello with the features that this process announces.
fn announcing(hello: Hello) -> Hello {
    Hello { features: ring::features(), ..hello }
}

/// Asks the kernel for a pidfd of the greeting process, if the process at the other end has no pid
/// in this pid namespace. Otherwise the pid identifies it.
fn name_process(socket: &Seqpacket) {
    if socket.peer().is_ok_and(|peer| peer.pid == 0) {
        // Before Linux 6.5 the process stays unknown.
        let _ = socket.pass_sender_processes();
    }
}

/// Wraps a socket of a server that has no quota yet.
fn to_server(socket: Seqpacket) -> PeerSocket {
    let server = Quota::of_server(&socket);
    PeerSocket::new(socket, server)
}

/// Sends the hello, after the socket had no room for it earlier.
#[cold]
fn say_hello(link: &Link, hello: Hello, deadline: Instant) -> Result<()> {
    let (header, body) = ClientEnd::<()>::hello(hello);
    link.send_by(&header, &body, deadline).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            let text = "the server ended before it received the first frame";
            Error::detected(ErrorKind::Disconnected, text).because(error)
        }
        io::ErrorKind::TimedOut => {
            let text = "timed out sending the first frame to the server";
            Error::detected(ErrorKind::TimedOut, text)
        }
        _ => failed(error),
    })
}

/// Returns the reason that a server gave when it ended a connection after its greeting.
#[cold]
fn refusal(link: &Link) -> Option<Error> {
    let (mut frame, mut handles) = (FrameBuffer::take(), ReceivedHandles::new());
    // The first attempt may report that the server did not read everything.
    let received = (0..2).find_map(|_| link.receive(&mut frame, &mut handles, None).ok())?;
    match ClientEnd::<()>::open(&frame[..received.len], handles.len(), Features::NONE) {
        Err(error @ OpenError::Refused(_)) => Some(error.into()),
        _ => None,
    }
}

/// Returns the hello for the first offer with the class and the interface of `hello`.
fn first_offer(greeting: &Greeting, hello: Hello) -> Result<Hello> {
    let matches = |wanted, offered| wanted == Guid::NIL || wanted == offered;
    let of_class = || greeting.offers.iter().filter(|offer| matches(hello.clsid, offer.clsid));
    match of_class().find(|offer| matches(hello.iid, offer.iid)) {
        Some(Offer { clsid, iid, .. }) => Ok(Hello { clsid: *clsid, iid: *iid, ..hello }),
        None if of_class().next().is_none() && hello.clsid != Guid::NIL => {
            Err(Error::from_fault(&Fault::NoSuchClass(hello.clsid)))
        }
        None => Err(Error::from_fault(&Fault::NoSuchInterface(hello.iid))),
    }
}

/// Returns the server's offer of the class and the interface of the hello.
fn find_offer(greeting: &Greeting, hello: Hello) -> Result<Offer> {
    let classes = || greeting.offers.iter().filter(|offer| offer.clsid == hello.clsid);
    let fault = match classes().next() {
        None => Fault::NoSuchClass(hello.clsid),
        Some(_) => match classes().find(|offer| offer.iid == hello.iid) {
            Some(offer) => return Ok(*offer),
            None => Fault::NoSuchInterface(hello.iid),
        },
    };
    Err(Error::from_fault(&fault))
}

fn ungreeted() -> Error {
    Error::detected(ErrorKind::Disconnected, "the server ended before its greeting")
}
