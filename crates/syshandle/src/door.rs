//! Doors: references to objects that can be passed to other processes.
//!
//! A door is a socket that belongs to one holder. The server has the inner end. The holder sends
//! *attach* frames, each with one end of a new socket pair, the *return channel*. The server
//! answers there with an *attach* frame that contains one end of another pair, which the server has
//! made. That pair is the connection. So only the server has its end of the connection, and no
//! client can change the options of that end, read from it or shut it down.
//!
//! A holder that passes the reference on asks the server for a new door and gives that door away.
//! So no holder can break the reference of another one.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use syshandle_os::{
    BorrowedHandle, Credentials, Declaration, HandleRef, OwnedHandle, Peer, Process, Seqpacket,
    Sockets,
};
use syshandle_types::describe::Interface;
use syshandle_types::{Guid, MessageHandle, MessageObject, Prove};
use syshandle_wire::{Fault, FrameKind, Header, Violation};

use crate::buffer::FrameBuffer;
use crate::peer_socket::{PeerEvent, PeerSocket, wait_for_peer};
use crate::quota::Quota;
use crate::received_handles::{KernelProver, ReceivedHandles};
use crate::wait_mode::WaitMode;
use crate::withdrawal::Withdrawal;
use crate::{Error, ErrorKind, Result, send_error};

/// Number of the method that asks a server for a door to an object.
pub(crate) const METHOD: u32 = u32::MAX;

/// Number of the method that asks a server for a number of another interface of an object.
pub(crate) const CAST: u32 = u32::MAX - 2;

/// The declaration of a door, as far as the kernel can prove it: a socket of the right type.
pub(crate) const DECLARATION: Declaration = Declaration::socket(Sockets::SEQPACKET);

/// Makes doors to an object of this process.
pub(crate) trait DoorMaker: fmt::Debug + Send + Sync {
    /// Makes a door, and returns its outer end.
    fn make_door(&self) -> Result<OwnedHandle>;

    /// Checks that the object has an interface.
    fn require(&self, interface: &Interface) -> Result<()>;

    /// Returns the value that withdraws the object, if this is the reference of its owner.
    fn withdrawal(&self) -> Option<Withdrawal>;

    /// Returns the object in the form in which a message of its server passes it, if `server`
    /// identifies that server and the object has this interface.
    fn pass(&self, iid: Guid, server: usize) -> Option<MessageObject>;
}

/// An object of this server that a client has passed back by its number.
#[derive(Debug)]
pub(crate) struct ReceivedObject(pub(crate) Arc<dyn DoorMaker>);

/// A door that was made for one receiver. The message that passes the reference owns the door.
#[derive(Debug)]
pub(crate) enum LentDoor {
    /// Made by this process.
    Own(OwnedHandle),
    /// Made by a server.
    Servers(ReceivedHandles),
}

impl LentDoor {
    /// Returns the door as a socket to connect through, which counts in the quota of its server.
    pub(crate) fn into_socket(self) -> Option<PeerSocket> {
        match self {
            Self::Own(door) => Some(hold(door)),
            Self::Servers(door) => {
                let server = door.sender()?.clone();
                let door = door.into_handles().pop()?;
                Some(PeerSocket::new(Seqpacket::from(door), server))
            }
        }
    }
}

impl MessageHandle for LentDoor {
    fn lend(&self) -> BorrowedHandle<'_> {
        match self {
            Self::Own(door) => door.as_fd(),
            Self::Servers(door) => match door.first() {
                Some(door) => door.as_fd(),
                None => unreachable!("it is made with one handle"),
            },
        }
    }
}

/// Identity of a process, as the kernel reports it.
#[derive(Debug)]
pub(crate) struct ProcessIdentity {
    pub(crate) credentials: Credentials,
    /// Pidfd of the process; `None` before Linux 6.5.
    pub(crate) process: Option<OwnedHandle>,
}

impl ProcessIdentity {
    /// Returns the process that made the other end of a socket.
    pub(crate) fn peer_of(socket: &Seqpacket) -> io::Result<Self> {
        Ok(Self { credentials: socket.peer()?, process: socket.peer_process().ok() })
    }

    /// Returns whether both certainly are the same process.
    ///
    /// A process that is not visible in this pid namespace has the pid 0. Without pidfds such a
    /// process equals no process.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let compared = match (&self.process, &other.process) {
            (Some(one), Some(other)) => Process::are_same(one.as_fd(), other.as_fd()),
            _ => None,
        };
        compared.unwrap_or_else(|| {
            let pid = self.credentials.pid;
            pid != 0 && pid == other.credentials.pid
        })
    }
}

/// A connection that a server has made through a door. The greeting of the server is not read yet.
#[derive(Debug)]
pub(crate) struct DoorConnection {
    /// Socket of the connection. Handles that are received over it count in the quota of the door's
    /// server.
    pub(crate) socket: PeerSocket,
    /// Process that made the door, and so serves the object.
    pub(crate) server: Credentials,
}

/// Makes a connection through a door.
pub(crate) async fn attach(
    mode: WaitMode,
    door: &PeerSocket,
    deadline: Instant,
) -> Result<DoorConnection> {
    let server = ProcessIdentity::peer_of(door).map_err(not_made)?;
    let (channel, theirs) = Seqpacket::pair().map_err(not_made)?;
    channel.name_senders().map_err(not_made)?;
    // This call fails before Linux 6.5. Then the pids are compared instead of the pidfds.
    let _ = channel.pass_sender_processes();
    let channel = PeerSocket::new(channel, door.peer_quota().clone());
    send_attach(door, theirs.as_fd()).map_err(not_attached)?;
    drop(theirs);
    let (mut frame, mut handles) = (FrameBuffer::take(), ReceivedHandles::new());
    let received = loop {
        match wait_for_peer(mode, &channel, door, deadline).await.map_err(not_made)? {
            PeerEvent::Message => {}
            PeerEvent::Deadline => {
                let text = "timed out waiting for the server to open the door";
                let late = || Error::detected(ErrorKind::TimedOut, text);
                return Err(not_a_door(door).unwrap_or_else(late));
            }
            PeerEvent::Death => return Err(gone()),
        }
        match handles.receive(&channel, &mut frame) {
            Ok(received) => break received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(not_a_door(door).unwrap_or_else(|| gone().because(error))),
        }
    };
    handles.sent_by(channel.peer_quota());
    if received.len == 0 {
        return Err(not_a_door(door).unwrap_or_else(gone));
    }
    // Only an answer of the server is accepted. Any other process that passes an end of a
    // connection could keep a copy of that end.
    let sender = received
        .sender
        .map(|credentials| ProcessIdentity { credentials, process: received.sender_process });
    if !sender.is_some_and(|sender| sender.is(&server)) {
        return Err(Violation::NotOurs.into());
    }
    let (header, body) = Header::read(&frame[..received.len])?;
    match header.kind {
        FrameKind::Attach if header.handles == 1 && handles.len() == 1 => {}
        FrameKind::Attach if received.handles_truncated => {
            let text =
                "this process has no descriptors or no memory left for a connection to the object";
            return Err(Error::detected(ErrorKind::HandlesLost, text));
        }
        FrameKind::Refused => {
            let fault = Fault::read(body).map_err(|_| Violation::NotOurs)?;
            return Err(Error::from_fault(&fault));
        }
        kind => return Err(Violation::Unexpected(kind).into()),
    }
    let prover = KernelProver::usual(channel.peer_quota());
    for handle in handles.into_handles() {
        let socket = HandleRef::<Seqpacket>::new(handle.as_fd());
        let is_servers = prover.check(handle.as_fd(), &DECLARATION).is_ok()
            && ProcessIdentity::peer_of(&socket).is_ok_and(|maker| maker.is(&server));
        if is_servers {
            let socket = PeerSocket::new(Seqpacket::from(handle), door.peer_quota().clone());
            return Ok(DoorConnection { socket, server: server.credentials });
        }
        prover.refuse(handle);
    }
    Err(Violation::NotOurs.into())
}

/// Sends a frame that passes one end of a socket pair.
pub(crate) fn send_attach(to: &PeerSocket, end: BorrowedHandle<'_>) -> io::Result<()> {
    let mut head = [0; Header::LEN_MAX];
    let len = Header { handles: 1, ..Header::new(FrameKind::Attach) }.write(&mut head);
    to.send(&[io::IoSlice::new(&head[..len])], &[end])
}

/// Wraps a door with only one holder, so that closing it does not block.
pub(crate) fn hold(door: OwnedHandle) -> PeerSocket {
    let door = Seqpacket::from(door);
    let server = Quota::of_server(&door);
    PeerSocket::new(door, server)
}

/// Wraps a copy of a door. Other holders have other copies of the same socket.
pub(crate) fn hold_copy(door: OwnedHandle) -> PeerSocket {
    let door = Seqpacket::from(door);
    let server = Quota::of_server(&door);
    PeerSocket::shared(door, server)
}

/// Wraps a door that a server made for one receiver.
pub(crate) fn lent_by(door: OwnedHandle, server: &Arc<Quota>) -> LentDoor {
    LentDoor::Servers(ReceivedHandles::of([door].into_iter().collect(), server))
}

/// Returns an error if the socket is one end of a connection instead of a door. A connection
/// contains the greeting of its server, and a server sends nothing to a door.
fn not_a_door(door: &Seqpacket) -> Option<Error> {
    let text = "the socket is one end of a connection, not a door: use `from_socket`";
    door.has_message().then(|| Error::detected(ErrorKind::WrongHandle, text))
}

fn not_made(error: io::Error) -> Error {
    Error::detected(ErrorKind::System, "no connection to the object can be made").because(error)
}

fn not_attached(error: io::Error) -> Error {
    let (kind, text) = match error.kind() {
        io::ErrorKind::WouldBlock => {
            (ErrorKind::Busy, "the server does not open the door: its queue of clients is full")
        }
        _ if send_error::is_past_limit(&error) => (
            ErrorKind::Busy,
            "the server does not open the door, nor others that it was asked before",
        ),
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::NotConnected => return gone().because(error),
        _ if error.raw_os_error() == Some(send_error::ETOOMANYREFS) => {
            (ErrorKind::Busy, send_error::TOO_MANY_OF_USER)
        }
        _ => return not_made(error),
    };
    Error::detected(kind, text).because(error)
}

pub(crate) fn gone() -> Error {
    Error::detected(ErrorKind::Disconnected, "the object no longer exists")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_not_to_reach_a_door_has_an_error_of_its_own() {
        let errno = io::Error::from_raw_os_error;
        let past_limit = io::Error::new(io::ErrorKind::QuotaExceeded, "in flight");
        for (error, kind, part) in [
            (errno(11), ErrorKind::Busy, "its queue of clients is full"),
            (errno(32), ErrorKind::Disconnected, "the object no longer exists"),
            (errno(104), ErrorKind::Disconnected, "the object no longer exists"),
            (errno(109), ErrorKind::Busy, "RLIMIT_NOFILE"),
            (past_limit, ErrorKind::Busy, "in flight"),
            (errno(12), ErrorKind::System, "no connection to the object can be made"),
        ] {
            let error = not_attached(error);
            assert_eq!((error.kind(), error.may_have_run()), (kind, false), "{error:#}");
            assert!(format!("{error:#}").contains(part), "{error:#}");
        }
    }

    #[test]
    fn processes_without_a_number_are_told_apart_by_their_pidfds_or_not_equal() {
        // The kernel reports pid 0 for processes of another pid namespace.
        let known = |process: Option<Process>| {
            let (one, _other) = Seqpacket::pair().unwrap();
            let mut credentials = one.peer().unwrap();
            credentials.pid = 0;
            ProcessIdentity { credentials, process: process.map(OwnedHandle::from) }
        };
        assert!(!known(None).is(&known(None)));
        let own = || Some(Process::current().unwrap());
        assert!(!known(own()).is(&known(None)));
        let init = || Some(Process::open(1).unwrap());
        if Process::are_same(own().unwrap().as_fd(), own().unwrap().as_fd()).is_some() {
            assert!(known(own()).is(&known(own())));
            assert!(!known(own()).is(&known(init())));
        }
        // Processes with a pid are equal even if pidfds can't be compared.
        let (one, other) = Seqpacket::pair().unwrap();
        let [one, other] = [one, other]
            .map(|end| ProcessIdentity { credentials: end.peer().unwrap(), process: None });
        assert!(one.is(&other));
    }
}
