//! The inner end of a door: the server side of a reference that another process holds.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use syshandle_os::{
    Credentials, HandleRef, Interest, OwnedHandle, PollEvent, ReceivedMessage, Seqpacket,
};
use syshandle_types::{Guid, MessageObject, Prove};
use syshandle_wire::{Fault, FrameKind, Header, Violation};

use super::connection::{ClientOrigin, ServerConnection, refuse};
use super::holders::{Holder, Holders};
use super::object::ClientObject;
use super::reactor::Reactor;
use super::reactor::activity::{ActivityKind, KeepAlive};
use super::reactor::event_loop::{EventOutcome, LoopContext, LoopSource};
use super::reactor::timers::SourceTimer;
use crate::buffer::FrameBuffer;
use crate::door;
use crate::door::ProcessIdentity;
use crate::peer_socket::PeerSocket;
use crate::quota::{Quota, Resource};
use crate::received_handles::{KernelProver, ReceivedHandles};
use crate::untyped_object::Object;

/// The inner end of a door. Keeps the object and the server alive.
#[derive(Debug)]
pub(crate) struct InnerDoor {
    socket: PeerSocket,
    kept: ClientObject,
    key: std::sync::OnceLock<u64>,
    _keep_alive: KeepAlive,
}

impl InnerDoor {
    /// Creates a door to an object, counted in a client's quota, and returns the outer end.
    pub(crate) fn open(
        reactor: &Arc<Reactor>,
        quota: &Arc<Quota>,
        (object, holders): (&Object, Option<&Arc<Holders>>),
    ) -> io::Result<OwnedHandle> {
        if reactor.is_full() {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many clients and doors"));
        }
        let quota_guard = quota.take(Resource::Connection, 1);
        let quota_guard =
            quota_guard.map_err(|limit| io::Error::new(io::ErrorKind::QuotaExceeded, limit))?;
        let (inner, outer) = Seqpacket::pair()?;
        // The outer end receives nothing. This distinguishes a door from an end of a connection.
        inner.shut_down_sending();
        // With sender names, every message has a sender, even an empty message. The end of the
        // stream has none.
        inner.name_senders()?;
        // Before Linux 6.5, process IDs are compared instead.
        let _ = inner.pass_sender_processes();
        let keep_alive = reactor.keep_alive(ActivityKind::Presence);
        let door = Arc::new(Self {
            socket: PeerSocket::new(inner, quota.clone()),
            kept: ClientObject::new(
                reactor,
                quota,
                (Some(object.clone()), holders.cloned()),
                quota_guard,
            ),
            key: std::sync::OnceLock::new(),
            _keep_alive: keep_alive,
        });
        reactor.quietest_loop().add(
            |key| {
                let _ = door.key.set(key);
                door.clone()
            },
            |poller, key| poller.add(&door.socket, key, Interest::EachReadable),
        )?;
        if let Some(holders) = holders {
            holders.add(reactor, &door);
        }
        Ok(outer.into())
    }

    /// Serves the processes that attach. Returns `false` if the door was closed because no process
    /// holds it or a process misused it.
    fn let_in(&self, reactor: &Arc<Reactor>) -> bool {
        let mut frame = FrameBuffer::take();
        for _ in 0..TURNS_MAX {
            let mut handles = ReceivedHandles::new();
            match handles.receive(&self.socket, &mut frame) {
                Ok(received @ ReceivedMessage { sender: Some(sender), .. }) => {
                    let quota = reactor.quotas().of(sender);
                    handles.sent_by(&quota);
                    if handles.check_sender().is_err() {
                        // The sender of a frame is known only after the frame was received.
                        crate::log::warn!(pid = sender.pid, "a door is misused, and closes");
                        self.close(reactor);
                        return false;
                    }
                    if let Err(violation) = check_attach(&frame, &received, handles.len()) {
                        let Credentials { pid, uid, .. } = sender;
                        crate::log::warn!(%violation, pid, %uid, "a client broke the rules at a door");
                        self.close(reactor);
                        return false;
                    }
                    let process = received.sender_process;
                    let sender = ProcessIdentity { credentials: sender, process };
                    self.attach(reactor, handles, &sender, &quota);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Ok(_) | Err(_) => {
                    self.close(reactor);
                    return false;
                }
            }
        }
        // A process that sends without end delays others only for [`TURNS_MAX`] frames.
        if let Some(key) = self.key.get() {
            reactor.watch_again(self.socket.as_fd(), *key, Interest::EachReadable);
        }
        true
    }

    fn close(&self, reactor: &Reactor) {
        if let Some(key) = self.key.get() {
            reactor.remove_source(*key, self.socket.as_fd());
        }
    }

    /// Makes a connection for the process that created the return channel, if the same process sent
    /// the frame.
    ///
    /// Otherwise a process could forward the channel of another process, and make that process a
    /// client of this server without its knowledge.
    fn attach(
        &self,
        reactor: &Arc<Reactor>,
        handles: ReceivedHandles,
        sender: &ProcessIdentity,
        quota: &Arc<Quota>,
    ) {
        let prover = KernelProver::usual(quota);
        for handle in handles.into_handles() {
            let client = match prover.check(handle.as_fd(), &door::DECLARATION) {
                Ok(_) => ProcessIdentity::peer_of(&HandleRef::<Seqpacket>::new(handle.as_fd()))
                    .ok()
                    .filter(|maker| maker.is(sender)),
                Err(_) => None,
            };
            let Some(client) = client else {
                crate::log::debug!(pid = sender.credentials.pid, "an attach was refused");
                prover.refuse(handle);
                continue;
            };
            let channel = Arc::new(PeerSocket::new(Seqpacket::from(handle), quota.clone()));
            if self.kept.is_withdrawn() {
                refuse(reactor, &channel, &Fault::Withdrawn);
                continue;
            }
            let Some(object) = self.kept.object() else { continue };
            let object = (object, self.kept.holders());
            if let Err(error) = serve_attached(reactor, client, &channel, object) {
                crate::log::debug!(%error, "a client at a door can't be served");
                let limit = match error.kind() {
                    io::ErrorKind::QuotaExceeded => "handles in flight to one client".to_owned(),
                    _ => format!("what a connection takes ({error})"),
                };
                refuse(reactor, &channel, &Fault::Busy { limit });
            }
        }
    }
}

impl Holder for InnerDoor {
    fn withdraw(&self, reactor: &Arc<Reactor>) {
        self.close(reactor);
    }
}

/// An interface of an object that a message passes to a client of the object's server.
#[derive(Clone, Debug)]
pub(super) struct PassedObject {
    pub(super) object: Object,
    /// Lets the owner of the object withdraw it.
    pub(super) holders: Option<Arc<Holders>>,
    pub(super) iid: Guid,
}

/// Returns an object in the form in which a message passes it, if `server` identifies its reactor
/// and it has this interface.
pub(super) fn pass(
    reactor: &Reactor,
    (object, holders): (&Object, Option<&Arc<Holders>>),
    iid: Guid,
    server: usize,
) -> Option<MessageObject> {
    let is_same = server == reactor.identity() && object.interface(iid).is_some();
    let (object, holders) = (object.clone(), holders.cloned());
    is_same.then(|| Arc::new(PassedObject { object, holders, iid }) as MessageObject)
}

impl LoopSource for InnerDoor {
    /// Serves the processes that attach. Releases the object when no process holds the door.
    fn act(self: Arc<Self>, context: LoopContext<'_>, _: PollEvent) -> EventOutcome {
        let running = context.start_running();
        let is_open = self.let_in(context.reactor);
        match EventOutcome::after(running) {
            EventOutcome::Otherwise if !is_open => match Arc::into_inner(self) {
                Some(door) => door.kept.release(context),
                None => EventOutcome::Otherwise,
            },
            outcome => outcome,
        }
    }

    fn on_timer(self: Arc<Self>, reactor: &Arc<Reactor>, _: SourceTimer) {
        self.let_in(reactor);
    }

    fn owner(&self) -> Option<&Arc<Quota>> {
        Some(self.kept.quota())
    }

    fn is_client(&self) -> bool {
        true
    }
}

/// Serves an object to a client that attached at a door. The server creates the connection and
/// sends its other end through the client's return channel.
fn serve_attached(
    reactor: &Arc<Reactor>,
    client: ProcessIdentity,
    channel: &Arc<PeerSocket>,
    object: (&Object, Option<&Arc<Holders>>),
) -> io::Result<()> {
    if reactor.is_full() {
        refuse(reactor, channel, &Fault::Busy { limit: "clients".into() });
        return Ok(());
    }
    let (ours, theirs) = Seqpacket::pair()?;
    // The client learns from the kernel which process sent the greeting.
    theirs.name_senders()?;
    let client = ClientOrigin::Attached(client, channel.clone());
    let Some(connection) = ServerConnection::serve(reactor, ours, client, object)? else {
        return Ok(());
    };
    let sent = door::send_attach(channel, theirs.as_fd());
    sent.inspect_err(|_| connection.end(reactor, false))
}

/// Checks that a frame with `handles` handles may arrive at a door. The one handle may be lost if
/// this process is out of descriptors.
fn check_attach(frame: &[u8], received: &ReceivedMessage, handles: usize) -> Result<(), Violation> {
    if received.bytes_truncated {
        return Err(Violation::TooLong);
    }
    if received.unknown_control {
        return Err(Violation::UnknownControl);
    }
    let (header, _) = Header::read(&frame[..received.len])?;
    match header.kind {
        FrameKind::Attach if !header.releases.as_slice().is_empty() => {
            Err(Violation::UnknownRelease)
        }
        FrameKind::Attach if handles == 1 || handles == 0 && received.handles_truncated => Ok(()),
        FrameKind::Attach => {
            let received = u16::try_from(handles).unwrap_or(u16::MAX);
            Err(Violation::WrongHandles { declared: header.handles, received })
        }
        kind => Err(Violation::Unexpected(kind)),
    }
}

/// Number of frames of one door that are handled before other clients get a turn.
const TURNS_MAX: usize = 8;
