//! Client side: a typed reference to an object in this or another process.

#[cfg(feature = "tokio")]
mod asynchronous;
mod call_queue;
mod calls;
mod cancel;
mod compatibility;
mod connecting;
#[cfg(feature = "tokio")]
mod connecting_call;
pub(crate) mod connection;
pub(crate) mod deadline;
mod differences;
mod end_reason;
pub(crate) mod event_source;
pub(crate) mod handshake;
mod object_wait;
mod one_way;
mod one_way_calls;
pub(crate) mod pending_call;
mod pipeline;
mod receiver;
mod references;
mod released_numbers;
mod reply;
mod role;
mod server_process;
mod tasks;
#[cfg(test)]
mod tests;
pub(crate) mod untyped;

use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use syshandle_os::{
    BorrowedHandle, Credentials, Declaration, Filesystems, Handle, OwnedHandle, ProcessMark,
    Seqpacket, Waitable,
};
use syshandle_types::describe::Interface as Description;
use syshandle_types::{
    Decode, DecodeError, DecodeErrorKind, Decoder, EncodeErrorKind, Encoder, Guid, Limits,
    MessageObjects, OutgoingHandles, Payload, SharedBytes,
};
use syshandle_wire::{Body, Entry, Hello, Status};

use self::call_queue::{NewCall, PassedReferences};
pub(super) use self::cancel::CancelState;
use self::connecting::LazyConnection;
use self::connection::ClientConnection;
use self::deadline::Deadline;
use self::differences::Differences;
use self::handshake::hello;
use self::one_way::OneWayCaller;
use self::pipeline::Pipeline;
use self::references::NumberedReference;
use self::released_numbers::ReceivedEntry;
pub(super) use self::reply::EncodedReply;
use self::reply::ReplyBody;
use super::Client;
use crate::buffer::{give_bytes, take_bytes};
use crate::door::{DoorMaker, LentDoor, ReceivedObject};
use crate::peer_socket::PeerSocket;
use crate::received_handles::KernelProver;
use crate::setup::other_process;
use crate::slots::{PassedHandles, PassedSlots};
use crate::withdrawal::Withdrawal;
use crate::{CallError, Error, ErrorKind, Result, door};

/// The object that a client refers to, and how it is reached.
#[derive(Clone, Debug)]
pub(super) struct ObjectRef {
    shared: Arc<ClientInner>,
    pub(super) filesystems: Option<Arc<Filesystems>>,
    /// Holds back the calls that this client begins, to send them in one system call.
    pipeline: Option<Pipeline>,
}

impl ObjectRef {
    /// Returns the value that withdraws the object, if this is the reference of its owner.
    pub(super) fn withdrawal(&self) -> Option<Withdrawal> {
        self.shared.connection.maker()?.withdrawal()
    }
}

#[derive(Debug)]
struct ClientInner {
    /// Process that made this client. A forked copy would take replies that belong to the original.
    owner: ProcessMark,
    connection: LazyConnection,
    /// Hello of a connection through a door.
    hello: Hello,
    /// Set when the descriptions of client and server were compared.
    differences: OnceLock<Differences>,
    /// The number of the object, unless it is the object of the connection.
    number: Option<Arc<NumberedReference>>,
    /// Whether the hash of the interface by which a number was received covers this interface, and
    /// both sides have that hash.
    is_covered: bool,
    /// Set when the first one-way call is made.
    one_way: OnceLock<Arc<OneWayCaller>>,
}

impl ClientInner {
    /// Returns the number of the object; 0 for the object of the connection.
    #[inline]
    fn number(&self) -> u32 {
        self.number.as_ref().map_or(0, |reference| reference.number())
    }
}

impl Client {
    /// Makes a reference over an open connection.
    pub(crate) fn connected(connection: ClientConnection, interface: &'static Description) -> Self {
        let connection = Arc::new(connection);
        let client = Self::new(Some(connection.clone()), None, None, interface);
        client.compare_hashes(&connection);
        client
    }

    /// Makes a reference to an object of this process. It connects when it is first used.
    pub(crate) fn served(maker: Arc<dyn DoorMaker>, interface: &'static Description) -> Self {
        Self::new(None, None, Some(maker), interface)
    }

    /// Makes a reference from a door. It connects when it is first used.
    pub(crate) fn from_door(door: PeerSocket, interface: &'static Description) -> Self {
        Self::new(None, Some(door), None, interface)
    }

    fn new(
        connection: Option<Arc<ClientConnection>>,
        door: Option<PeerSocket>,
        maker: Option<Arc<dyn DoorMaker>>,
        interface: &'static Description,
    ) -> Self {
        let connection = LazyConnection::new(connection, door, maker);
        Self::over(connection, (None, false), hello(Guid::NIL, interface), interface)
    }

    /// Makes a reference to an object by its number on a connection. `is_covered` as in
    /// [`ClientInner`].
    fn numbered(
        reference: Arc<NumberedReference>,
        is_covered: bool,
        interface: &'static Description,
    ) -> Self {
        let connection = reference.connection().clone();
        let is_compared = is_covered || connection.description() == 0;
        let connection = LazyConnection::new(Some(connection), None, None);
        // The number belongs to an interface, so no hello names it.
        let hello = Hello::new(Guid::NIL, interface.iid);
        let client = Self::over(connection, (Some(reference), is_covered), hello, interface);
        if is_compared { client.without_comparison() } else { client }
    }

    fn over(
        connection: LazyConnection,
        (number, is_covered): (Option<Arc<NumberedReference>>, bool),
        hello: Hello,
        interface: &'static Description,
    ) -> Self {
        let (owner, differences) = (ProcessMark::current(), OnceLock::new());
        let one_way = OnceLock::new();
        let shared = Arc::new(ClientInner {
            owner,
            connection,
            hello,
            differences,
            number,
            is_covered,
            one_way,
        });
        Self::of(ObjectRef { shared, filesystems: None, pipeline: None }, interface)
    }

    /// Returns a client of another object with the settings of this one.
    fn with_object(&self, other: Self) -> Self {
        let object = ObjectRef { shared: other.object.shared, ..self.object.clone() };
        Self { interface: other.interface, object, ..self.clone() }
    }

    /// Replaces the hello of a new reference. Its methods are not compared with the server's.
    fn with_hello(mut self, hello: Hello) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.object.shared) {
            shared.hello = hello;
        }
        self.without_comparison()
    }

    /// Marks the methods of this client as equal to the server's.
    fn without_comparison(self) -> Self {
        let _ = self.object.shared.differences.set(None);
        self
    }

    /// Returns the server's credentials, as the kernel reports them. Connects first if necessary.
    pub(super) fn server_credentials(&self) -> Result<Credentials> {
        Ok(self.connection(&mut self.deadline())?.server())
    }

    /// Waits for an object of the server. Connects first if necessary.
    pub(super) fn wait_for(&self, object: &dyn Waitable) -> Result<()> {
        let mut deadline = self.deadline();
        let connection = self.connection(&mut deadline)?;
        object_wait::wait_in_thread(connection, object, &mut deadline)
    }

    /// Connects to the same object by another of its interfaces.
    pub(super) fn cast_to(&self, interface: &'static Description) -> Result<Self> {
        if let Some(maker) = self.object.shared.connection.maker() {
            maker.require(interface)?;
        }
        if self.object.shared.connection.maker().is_none() {
            if let Some(cast) = self.cast_on_connection(interface.iid, interface)? {
                return Ok(cast);
            }
        }
        let door = self.make_door(self.deadline())?.into_socket();
        let cast = self.with_object(Self::new(None, door, None, interface));
        cast.connection(&mut self.deadline())?;
        Ok(cast)
    }

    /// Asks the server for a number of another interface of the object. Returns `None` if references
    /// to objects of the server are no numbers.
    fn cast_on_connection(
        &self,
        iid: Guid,
        interface: &'static Description,
    ) -> Result<Option<Self>> {
        let mut deadline = self.deadline();
        let connection = self.connection(&mut deadline)?;
        if connection.receiver() == 0 {
            return Ok(None);
        }
        let method = door::CAST;
        let body = iid.to_bytes().to_vec().into();
        let waiter = self.own_call(method, &body, |call| connection.begin(call, &deadline))?;
        let reply = connection.finish(waiter, &mut deadline)?;
        let cast = self.read_reply(connection, method, None, reply);
        let NumberOfCast(reference) = self.method_ref(method).without_error(cast)?;
        Ok(Some(self.with_object(Self::numbered(reference, false, interface))))
    }

    /// Calls a method on the connection. Connects first if necessary.
    pub(super) fn call_object<'a, T: Decode, E: Decode>(
        &self,
        method: u32,
        declared: Option<Declaration>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<T, CallError<E>> {
        let mut deadline = self.deadline();
        let reply =
            self.with_call(method, &mut deadline, arguments, |connection, call, deadline| {
                Ok((connection, connection.call(call, deadline)?))
            });
        let (connection, reply) = reply?;
        self.read_reply(connection, method, declared, reply)
    }

    /// Encodes the arguments of a call, and begins it with `begin`. Connects first if necessary.
    #[inline]
    fn with_call<'c, 'a, R>(
        &'c self,
        method: u32,
        deadline: &mut Deadline<'_>,
        arguments: impl FnOnce(&mut Encoder<'a>),
        begin: impl FnOnce(&'c Arc<ClientConnection>, &NewCall<'_, '_>, &mut Deadline<'_>) -> Result<R>,
    ) -> Result<R> {
        let place = |error: Error| self.method_ref(method).name(error);
        let connection = self.ready(deadline).map_err(place)?;
        self.check_method(method).map_err(place)?;
        let to = CallReceiver {
            receiver: connection.receiver(),
            limits: connection.limits(),
            connection: Some(connection),
        };
        self.encode(method, to, deadline.instant, arguments, |call| {
            begin(connection, call, deadline)
        })
    }

    /// Encodes the arguments of a call, and passes the call to `begin`.
    #[inline]
    fn encode<'a, R>(
        &self,
        method: u32,
        to: CallReceiver<'_>,
        until: Instant,
        arguments: impl FnOnce(&mut Encoder<'a>),
        begin: impl FnOnce(&NewCall<'_, '_>) -> Result<R>,
    ) -> Result<R> {
        let method_ref = self.method_ref(method);
        let mut out = Encoder::new(take_bytes(), to.limits).until(until).to(to.receiver);
        arguments(&mut out);
        let (body, handles) = out.finish_lent().map_err(|error| method_ref.unsendable(error))?;
        crate::log::trace!(bytes = body.len(), handles = handles.len(), "sending");
        let (object, objects) = (self.object.shared.number(), passed(&handles));
        let begun = handles.with(|handles| {
            let (body, objects) = (&body, &objects);
            let one_way = None;
            let plain = NewCall { object, method, body, handles, objects, one_way, plain: None };
            let slots = to.connection.and_then(|connection| connection.slots());
            match slots.and_then(|slots| slots.pass(&objects.table, handles)) {
                None => begin(&plain),
                Some(PassedHandles { table, handles, slots }) => {
                    let objects = PassedReferences { table, kept: objects.kept.clone(), slots };
                    let plain = Some(&plain);
                    begin(&NewCall {
                        object,
                        method,
                        body,
                        handles: &handles,
                        objects: &objects,
                        one_way,
                        plain,
                    })
                }
            }
        });
        let begun = begun.map_err(|error| method_ref.name(error))?;
        give_bytes(body.into_room());
        Ok(begun)
    }

    /// Passes a call to `begin` that the runtime itself makes to the object.
    fn own_call<R>(
        &self,
        method: u32,
        body: &Payload<'_>,
        begin: impl FnOnce(&NewCall<'_, '_>) -> R,
    ) -> R {
        let (object, objects) = (self.object.shared.number(), &PassedReferences::default());
        let plain = None;
        begin(&NewCall { object, method, body, handles: &[], objects, one_way: None, plain })
    }

    /// Decodes a reply that another thread of this client may have received.
    pub(super) fn read<T: Decode, E: Decode>(
        &self,
        method: u32,
        declared: Option<Declaration>,
        reply: EncodedReply,
    ) -> Result<T, CallError<E>> {
        // The client is connected, because it got a reply.
        let connection = self.connection(&mut self.deadline())?;
        self.read_reply(connection, method, declared, reply)
    }

    /// Decodes a reply, or returns an error if its handles were lost.
    fn read_reply<T: Decode, E: Decode>(
        &self,
        connection: &Arc<ClientConnection>,
        method: u32,
        declared: Option<Declaration>,
        reply: EncodedReply,
    ) -> Result<T, CallError<E>> {
        let method_ref = self.method_ref(method);
        self.read_reply_with(connection, method, reply, |status, input| {
            method_ref.read(declared, status, input)
        })
    }

    /// Reads a reply with `read`, or returns an error if its handles were lost.
    fn read_reply_with<T, E>(
        &self,
        connection: &Arc<ClientConnection>,
        method: u32,
        reply: EncodedReply,
        read: impl FnOnce(Status, Decoder<'_>) -> Result<T, CallError<E>>,
    ) -> Result<T, CallError<E>> {
        let method_ref = self.method_ref(method);
        let EncodedReply { status, body, handles, numbers, handles_lost } = reply;
        let objects = self.received_objects(connection, numbers);
        crate::log::trace!(?status, handles = handles.len(), "received");
        let sender = connection.socket().peer_quota();
        let prover = match &self.object.filesystems {
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
                let input = Decoder::new(&frame[start..end], handles, &prover);
                read(status, input.with_objects(objects))
            }
            ReplyBody::Copy(body) => {
                let input = Decoder::new(&body, handles.into_handles(), &prover);
                let result = read(status, input.with_objects(objects));
                give_bytes(body);
                result
            }
            ReplyBody::Shared(body) => {
                let _release = ReleaseOnDrop { connection, body };
                let (range, len) = connection.range(body);
                let bytes = SharedBytes::new(&range, len);
                let handles = handles.into_handles();
                read(status, Decoder::shared(&bytes, handles, &prover).with_objects(objects))
            }
        }
    }

    /// Makes references of the numbers that a reply has brought.
    #[inline]
    fn received_objects(
        &self,
        connection: &Arc<ClientConnection>,
        numbers: Vec<Option<ReceivedEntry>>,
    ) -> MessageObjects {
        if numbers.is_empty() {
            return MessageObjects::new();
        }
        NumberedReference::of_reply(connection, numbers, self.is_described_alike(connection))
    }

    #[inline]
    fn deadline(&self) -> Deadline<'_> {
        Deadline::lasting(self.timeout, self.cancel.as_ref())
    }

    /// Returns the connection, which is made through the door when it is first needed.
    fn connection(&self, deadline: &mut Deadline<'_>) -> Result<&Arc<ClientConnection>> {
        let shared = &*self.object.shared;
        if !shared.owner.is_current() {
            return Err(other_process("client"));
        }
        if let Some(connection) = shared.connection.get() {
            return Ok(connection);
        }
        let connection = shared.connection.connect_in_thread(shared.hello, deadline.instant)?;
        self.compare_hashes(connection);
        deadline.look();
        Ok(connection)
    }

    /// Returns the connection if there is one and this process made it.
    fn own_connection(&self) -> Option<&Arc<ClientConnection>> {
        self.object.shared.owner.is_current().then(|| self.object.shared.connection.get()).flatten()
    }

    /// Makes a door to the object for one receiver. Asks the server for it, unless this process
    /// serves the object.
    fn make_door(&self, mut deadline: Deadline<'_>) -> Result<LentDoor> {
        if !self.object.shared.owner.is_current() {
            return Err(other_process("client"));
        }
        if let Some(maker) = self.object.shared.connection.maker() {
            return Ok(LentDoor::Own(maker.make_door()?));
        }
        let connection = self.connection(&mut deadline)?;
        let none = Payload::default();
        let waiter =
            self.own_call(door::METHOD, &none, |call| connection.begin(call, &deadline))?;
        let reply = connection.finish(waiter, &mut deadline)?;
        let door = self.read_reply(connection, door::METHOD, Some(door::DECLARATION), reply);
        let door: OwnedHandle = self.method_ref(door::METHOD).without_error(door)?;
        Ok(door::lent_by(door, connection.socket().peer_quota()))
    }
}

impl Client {
    /// Encodes a reference: as a number, if its receiver is the server or a client of the server,
    /// and otherwise as a door that is made for the receiver.
    pub(super) fn encode_object<'a>(&'a self, out: &mut Encoder<'a>) {
        let shared = &self.object.shared;
        if out.receiver() != 0 && shared.owner.is_current() {
            if let Some(maker) = shared.connection.maker() {
                if let Some(object) = maker.pass(shared.hello.iid, out.receiver()) {
                    return out.put_object(object);
                }
            }
            if shared.connection.get().is_some_and(|it| it.receiver() == out.receiver()) {
                return out.put_object(shared.clone());
            }
        }
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

    /// Decodes a reference from its number, or from the door that was made for this process.
    pub(super) fn decode_object(
        input: &mut Decoder<'_>,
        interface: &'static Description,
    ) -> Result<Self, DecodeError> {
        if let Some(object) = input.take_object()? {
            let object = match object.downcast::<NumberedReference>() {
                Ok(reference) => {
                    let is_covered = reference.is_covered();
                    return Ok(Self::numbered(reference, is_covered, interface));
                }
                Err(object) => object,
            };
            let maker = object.downcast_ref::<ReceivedObject>().map(|ReceivedObject(maker)| maker);
            return match maker {
                Some(maker) if maker.require(interface).is_ok() => {
                    Ok(Self::served(maker.clone(), interface))
                }
                _ => Err(input.error(DecodeErrorKind::Value { expected: interface.name })),
            };
        }
        let door = input.take_handle::<Door>()?;
        Ok(Self::from_door(door::hold(door.0.into()), interface))
    }
}

/// What the arguments of a call are encoded for.
struct CallReceiver<'c> {
    /// The number that identifies the connection to encoders; 0 before it exists, and if it takes no numbers.
    receiver: usize,
    limits: Limits,
    /// The connection, unless it is made later.
    connection: Option<&'c Arc<ClientConnection>>,
}

/// Returns the references to objects of the server among the entries of a message.
#[inline]
fn passed(handles: &OutgoingHandles<'_>) -> PassedReferences {
    let objects = handles.objects();
    if objects.is_empty() {
        return PassedReferences::default();
    }
    let references = objects
        .iter()
        .map(|object| object.as_ref().and_then(|object| object.downcast_ref::<ClientInner>()));
    let entry = |reference: Option<&ClientInner>| match reference {
        Some(reference) => Entry::Object(reference.number()),
        None => Entry::Handle,
    };
    let received = |reference: Option<&ClientInner>| reference?.number.as_ref()?.received();
    PassedReferences {
        table: references.clone().map(entry).collect(),
        kept: references.filter_map(received).collect(),
        slots: PassedSlots::default(),
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

/// The result of a cast.
struct NumberOfCast(Arc<NumberedReference>);

impl Decode for NumberOfCast {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let object = input.take_object()?;
        let reference = object.and_then(|object| object.downcast().ok());
        let expected = "the number of an object";
        reference.map(Self).ok_or_else(|| input.error(DecodeErrorKind::Value { expected }))
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
