//! Client side: a typed reference to an object in this or another process.

#[cfg(feature = "tokio")]
mod asynchronous;
mod cancel;
pub(crate) mod connection;
pub(crate) mod deadline;
mod end_reason;
pub(crate) mod handshake;
pub(crate) mod pending_call;
mod pipeline;
mod receiving;
mod reply;
mod role;
mod server_process;
pub(crate) mod starter;
mod starting;
#[cfg(test)]
mod tests;

use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use syshandle_os::{
    BorrowedHandle, Credentials, Declaration, Filesystems, Handle, OwnedHandle, ProcessMark,
    Seqpacket, Waitable,
};
use syshandle_types::describe::Interface as Description;
use syshandle_types::{
    Decode, DecodeError, Decoder, Encode, EncodeErrorKind, Encoder, Guid, Payload, SharedBytes,
};
use syshandle_wire::{Body, Hello, Violation};

pub use cancel::Cancel;

use self::connection::ClientConnection;
use self::deadline::Deadline;
use self::handshake::ClientHandshake;
use self::pipeline::Pipeline;
use self::reply::{EncodedReply, ReplyBody};
use crate::buffer::{give_bytes, take_bytes};
use crate::class::{Interface, Proxy};
use crate::door::{DoorConnection, DoorMaker, LentDoor};
use crate::limits::CALL_TIMEOUT;
use crate::method_ref::MethodRef;
use crate::peer_socket::PeerSocket;
use crate::received_handles::KernelProver;
use crate::setup::other_process;
use crate::sync::Mutex;
use crate::{CallError, Error, ErrorKind, Result, door};

/// Reference to an object; every generated client wraps one.
///
/// A `Client` is cheap to clone, and any number of threads may use it at once. The object is
/// released when the last clone is dropped.
///
/// A client belongs to the process that made it. In a forked copy of that process each use returns
/// an error of the kind [`ErrorKind::OtherProcess`], and dropping the copy of the client has no
/// effect on the connection.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<ClientInner>,
    timeout: Duration,
    cancel: Option<Cancel>,
    filesystems: Option<Arc<Filesystems>>,
    /// Holds back the calls that this client begins, to send them in one system call.
    pipeline: Option<Arc<Pipeline>>,
}

#[derive(Debug)]
struct ClientInner {
    /// Process that made this client. A forked copy would take replies that belong to the original.
    owner: ProcessMark,
    interface: &'static Description,
    connection: OnceLock<ClientConnection>,
    /// Door to connect through; `None` once connected. One thread connects while the others wait
    /// for the lock.
    door: Mutex<Option<PeerSocket>>,
    /// Makes doors to the object, if this process serves it.
    maker: Option<Box<dyn DoorMaker>>,
}

impl Client {
    /// Default timeout of a call.
    pub const TIMEOUT: Duration = CALL_TIMEOUT;

    /// Makes a reference over an open connection.
    pub(crate) fn connected(connection: ClientConnection, interface: &'static Description) -> Self {
        Self::new(OnceLock::from(connection), None, None, interface)
    }

    /// Makes a reference to an object of this process, over an open connection.
    pub(crate) fn of_this_process(
        connection: ClientConnection,
        maker: Box<dyn DoorMaker>,
        interface: &'static Description,
    ) -> Self {
        Self::new(OnceLock::from(connection), None, Some(maker), interface)
    }

    /// Makes a reference to an object of this process. It connects when it is first used.
    pub(crate) fn served(maker: Box<dyn DoorMaker>, interface: &'static Description) -> Self {
        Self::new(OnceLock::new(), None, Some(maker), interface)
    }

    /// Makes a reference from a door. It connects when it is first used.
    pub(crate) fn from_door(door: PeerSocket, interface: &'static Description) -> Self {
        Self::new(OnceLock::new(), Some(door), None, interface)
    }

    fn new(
        connection: OnceLock<ClientConnection>,
        door: Option<PeerSocket>,
        maker: Option<Box<dyn DoorMaker>>,
        interface: &'static Description,
    ) -> Self {
        let owner = ProcessMark::current();
        let shared = ClientInner { owner, interface, connection, door: Mutex::new(door), maker };
        Self {
            shared: Arc::new(shared),
            timeout: Self::TIMEOUT,
            cancel: None,
            filesystems: None,
            pipeline: None,
        }
    }

    /// Returns the same reference with a different call timeout.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Returns the same reference with `cancel` attached: [`Cancel::cancel`] ends its calls.
    #[must_use]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self { cancel: Some(cancel.clone()), ..self.clone() }
    }

    /// Returns the same reference with a different set of accepted file systems: a file from the
    /// server must be on one of them. The default is the kernel's local file systems.
    #[must_use]
    pub fn with_filesystems(&self, filesystems: Arc<Filesystems>) -> Self {
        Self { filesystems: Some(filesystems), ..self.clone() }
    }

    /// Returns the description of the interface that this client calls.
    pub fn interface(&self) -> &'static Description {
        self.shared.interface
    }

    /// Returns the server's credentials, as the kernel reports them. Connects first if necessary.
    ///
    /// On a generated client, call `client.as_client().server()`:
    /// [`as_client`](crate::class::Proxy::as_client) is a method of the trait [`Proxy`](crate::class::Proxy),
    /// which has to be in scope.
    ///
    /// # Errors
    /// The errors of connecting.
    pub fn server(&self) -> Result<Credentials> {
        Ok(self.connection(&mut self.deadline())?.server())
    }

    /// Waits until the server signals `object`, until the client's timeout has passed, or until the
    /// server ends. An auto-reset event is reset.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`]; [`ErrorKind::Cancelled`]; [`ErrorKind::Disconnected`] as soon as
    /// the server has ended.
    pub fn wait(&self, object: &dyn Waitable) -> Result<()> {
        let mut deadline = self.deadline();
        self.connection(&mut deadline)?.wait_for(object, &mut deadline)
    }

    /// Returns a reference to the same object by another of its interfaces.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchInterface`], or any error of a call.
    pub fn cast<P: Proxy>(&self) -> Result<P> {
        let interface = P::Interface::DESCRIPTION;
        if let Some(maker) = &self.shared.maker {
            maker.object().require(interface)?;
        }
        let door = self.make_door(self.deadline())?.into_socket();
        let cast = Self::new(OnceLock::new(), door, None, interface);
        let cast = Self { shared: cast.shared, ..self.clone() };
        cast.connection(&mut self.deadline())?;
        Ok(P::from_client(cast))
    }

    /// Calls a method that has no error type of its own.
    #[doc(hidden)]
    pub fn call<'a, T: Decode>(
        &self,
        method: u32,
        declared: Option<Declaration>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<T> {
        self.method_ref(method).without_error(self.call_with_error(method, declared, arguments))
    }

    /// Calls a method that has an error type of its own.
    #[doc(hidden)]
    pub fn call_with_error<'a, T: Decode, E: Decode>(
        &self,
        method: u32,
        declared: Option<Declaration>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<T, CallError<E>> {
        let method_ref = self.method_ref(method);
        let place = |error: Error| method_ref.name(error);
        let _entered = crate::log::debug_span!("call", method = %method_ref);
        let mut deadline = self.deadline();
        let connection = self.connection(&mut deadline).map_err(place)?;
        let mut out = Encoder::new(take_bytes(), connection.limits()).until(deadline.instant);
        arguments(&mut out);
        let (payload, handles) = out.finish_lent().map_err(|error| method_ref.unsendable(error))?;
        crate::log::trace!(bytes = payload.len(), handles = handles.len(), "sending");
        let reply =
            handles.with(|handles| connection.call(method, &payload, handles, &mut deadline));
        let reply = reply.map_err(place)?;
        give_bytes(payload.into_room());
        self.read_reply(connection, method, declared, reply)
    }

    /// Decodes a reply, or returns an error if its handles were lost.
    fn read_reply<T: Decode, E: Decode>(
        &self,
        connection: &ClientConnection,
        method: u32,
        declared: Option<Declaration>,
        reply: EncodedReply,
    ) -> Result<T, CallError<E>> {
        let method_ref = self.method_ref(method);
        let EncodedReply { status, body, handles, handles_lost } = reply;
        crate::log::trace!(?status, handles = handles.len(), "received");
        let sender = connection.link.socket.peer_quota();
        let prover = match &self.filesystems {
            Some(filesystems) => KernelProver::new(filesystems, sender),
            None => KernelProver::usual(sender),
        };
        match body {
            _ if handles_lost => {
                if let ReplyBody::Shared(body) = body {
                    connection.has_read(body);
                }
                let text = "this process has no descriptors or no memory left for the handles of the result";
                Err(method_ref
                    .name(Error::detected(ErrorKind::HandlesLost, text).maybe_ran())
                    .into())
            }
            ReplyBody::PastLimit(limit) => {
                let text = format!(
                    "the result was dropped: the unclaimed results of this client would hold more \
                     than {limit}"
                );
                Err(method_ref.name(Error::detected(ErrorKind::TooLarge, text).maybe_ran()).into())
            }
            ReplyBody::Frame { frame, start, end } => {
                let handles = handles.into_handles();
                method_ref.read(
                    declared,
                    status,
                    Decoder::new(&frame[start..end], handles, &prover),
                )
            }
            ReplyBody::Copy(body) => {
                let input = Decoder::new(&body, handles.into_handles(), &prover);
                let result = method_ref.read(declared, status, input);
                give_bytes(body);
                result
            }
            ReplyBody::Shared(body) => {
                let _release = ReleaseOnDrop { connection, body };
                let (range, len) = connection.range(body);
                let bytes = SharedBytes::new(&range, len);
                let handles = handles.into_handles();
                method_ref.read(declared, status, Decoder::shared(&bytes, handles, &prover))
            }
        }
    }

    fn method_ref(&self, method: u32) -> MethodRef {
        MethodRef { interface: self.shared.interface, method }
    }

    #[inline]
    fn deadline(&self) -> Deadline<'_> {
        Deadline::lasting(self.timeout, self.cancel.as_ref())
    }

    /// Returns the connection, which is made through the door when it is first needed.
    fn connection(&self, deadline: &mut Deadline<'_>) -> Result<&ClientConnection> {
        let shared = &*self.shared;
        if !shared.owner.is_current() {
            return Err(other_process("client"));
        }
        if let Some(connection) = shared.connection.get() {
            return Ok(connection);
        }
        let mut door = shared.door.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = shared.connection.get() {
            return Ok(connection);
        }
        if door.is_none()
            && let Some(maker) = &shared.maker
        {
            *door = Some(door::hold(maker.make_door()?));
        }
        let Some(through) = &*door else {
            return Err(Error::detected(ErrorKind::Disconnected, "there is no way to the object"));
        };
        let hello = Hello { clsid: Guid::NIL, iid: shared.interface.iid };
        let DoorConnection { socket, server } = door::attach(through, deadline.instant)?;
        let connection = ClientHandshake::over(socket, hello).open(deadline.instant)?;
        if connection.server().pid != server.pid {
            return Err(Violation::NotOurs.into());
        }
        deadline.look();
        let connection = shared.connection.get_or_init(|| connection);
        *door = None;
        Ok(connection)
    }

    /// Returns the connection if there is one and this process made it.
    fn own_connection(&self) -> Option<&ClientConnection> {
        self.shared.owner.is_current().then(|| self.shared.connection.get()).flatten()
    }

    /// Makes a door to the object for one receiver. Asks the server for it, unless this process
    /// serves the object.
    fn make_door(&self, mut deadline: Deadline<'_>) -> Result<LentDoor> {
        if !self.shared.owner.is_current() {
            return Err(other_process("client"));
        }
        if let Some(maker) = &self.shared.maker {
            return Ok(LentDoor::Own(maker.make_door()?));
        }
        let connection = self.connection(&mut deadline)?;
        let reply = connection.call(door::METHOD, &Payload::default(), &[], &mut deadline)?;
        let door = self.read_reply(connection, door::METHOD, Some(door::DECLARATION), reply);
        let door: OwnedHandle = self.method_ref(door::METHOD).without_error(door)?;
        Ok(door::lent_by(door, connection.link.socket.peer_quota()))
    }
}

/// Sends a reference as a door that is made for its receiver.
impl Encode for Client {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        let deadline = self.deadline();
        let deadline = match out.deadline() {
            Some(earlier) if earlier < deadline.instant => {
                Deadline::until(earlier, deadline.cancel)
            }
            _ => deadline,
        };
        match self.make_door(deadline) {
            Ok(door) => out.give_handle(door),
            Err(error) => out.fail(EncodeErrorKind::Handle(std::io::Error::other(error))),
        }
    }
}

impl Client {
    /// Decodes a reference from a message.
    #[doc(hidden)]
    pub fn decode(
        input: &mut Decoder<'_>,
        interface: &'static Description,
    ) -> Result<Self, DecodeError> {
        let door = input.take_handle::<Door>()?;
        Ok(Self::from_door(door::hold(door.0.into()), interface))
    }
}

/// Range of the server's memory. It is released on drop, also when decoding panics.
struct ReleaseOnDrop<'c> {
    connection: &'c ClientConnection,
    body: Body,
}

impl Drop for ReleaseOnDrop<'_> {
    fn drop(&mut self) {
        self.connection.has_read(self.body);
    }
}

/// Handle that is declared to be a door.
struct Door(Seqpacket);

impl Handle for Door {
    const DECLARATION: Declaration = door::DECLARATION;

    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_fd()
    }

    fn from_handle(handle: OwnedHandle) -> Self {
        Self(handle.into())
    }
}
