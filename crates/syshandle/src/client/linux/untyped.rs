//! A client whose interface is known only at run time, for the crate `syshandle-dynamic`.

use std::sync::Arc;
use std::time::Duration;

use syshandle_os::Credentials;
use syshandle_types::describe::Interface as Description;
use syshandle_types::describe::owned;
use syshandle_types::{Decode, DecodeError, Decoder, Encode, Encoder, Guid};
use syshandle_wire::{Fault, Hello, Status};

use super::compatibility::{read_description, request};
use super::connecting::LazyConnection;
use super::connection::ClientConnection;
use super::pending_call::PendingCall;
use super::reply::EncodedReply;
use crate::class::Proxy;
use crate::client::Client;
use crate::method_ref::{MethodRef, place_of};
use crate::peer_socket::PeerSocket;
use crate::{CallError, Error, ErrorKind, Result, descriptions};

/// A client whose interface is known only at run time.
#[derive(Clone, Debug)]
pub struct UntypedClient(Client);

/// The description of every untyped client. It has no name, so no error names it.
static UNTYPED: Description =
    Description { iid: Guid::NIL, name: "", docs: "", is_private: false, methods: &[] };

impl UntypedClient {
    /// Makes a client over an open connection.
    pub(crate) fn over(connection: ClientConnection) -> Self {
        Self(Client::connected(connection, &UNTYPED).without_comparison())
    }

    /// Makes a client from a door. Connects when it is first used.
    pub(crate) fn through(door: PeerSocket, iid: Guid) -> Self {
        Self(Client::from_door(door, &UNTYPED).with_hello(Hello::new(Guid::NIL, iid)))
    }

    /// Returns the same reference with a different call timeout.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self(self.0.with_timeout(timeout))
    }

    /// Returns the server's credentials, as the kernel reports them.
    ///
    /// # Errors
    /// The errors of connecting.
    pub fn server(&self) -> Result<Credentials> {
        self.0.server()
    }

    /// Makes a client of the object to which a typed client refers. Connects first, unless this
    /// process serves the object.
    ///
    /// # Errors
    /// The errors of connecting.
    pub fn of(client: &Client) -> Result<Self> {
        let shared = &client.object.shared;
        let reference = match (shared.connection.maker(), &shared.number) {
            (Some(maker), _) => Client::served(maker.clone(), &UNTYPED),
            (None, Some(number)) => Client::numbered(number.clone(), true, &UNTYPED),
            (None, None) => {
                let connection = client.connection(&mut client.deadline())?;
                let connection = LazyConnection::new(Some(connection.clone()), None, None);
                Client::over(connection, (None, true), shared.hello, &UNTYPED)
            }
        };
        Ok(Self(client.with_object(reference.with_hello(shared.hello))))
    }

    /// Returns a typed reference to an interface of the object.
    ///
    /// # Errors
    /// The errors of [`Client::cast`].
    pub fn typed<P: Proxy>(&self) -> Result<P> {
        self.0.cast()
    }

    /// Returns a reference to another interface of the object.
    ///
    /// # Errors
    /// The errors of [`Client::cast`].
    pub fn cast(&self, iid: Guid) -> Result<Self> {
        let hello = Hello::new(Guid::NIL, iid);
        let maker = self.0.object.shared.connection.maker();
        if maker.is_none() {
            if let Some(cast) = self.0.cast_on_connection(iid, &UNTYPED)? {
                return Ok(Self(cast.with_hello(hello)));
            }
        }
        let cast = match maker {
            Some(maker) => Client::served(maker.clone(), &UNTYPED),
            None => {
                let door = self.0.make_door(self.0.deadline())?.into_socket();
                Client::new(None, door, None, &UNTYPED)
            }
        };
        let cast = self.0.with_object(cast.with_hello(hello));
        cast.connection(&mut self.0.deadline())?;
        Ok(Self(cast))
    }

    /// Requests the descriptions of the object's interfaces: of all of them, or only of the
    /// interface of this reference.
    ///
    /// # Errors
    /// The errors of a call. [`ErrorKind::NoSuchMethod`] if the server does not describe its
    /// interfaces, and [`ErrorKind::Malformed`] if a description is not valid.
    pub fn describe(&self, all: bool) -> Result<Vec<owned::Description>> {
        let place = |error: Error| error.at("description of the object");
        let mut deadline = self.0.deadline();
        let connection = self.0.connection(&mut deadline).map_err(place)?;
        if connection.description() == 0 {
            let text = "the server does not describe its interfaces";
            return Err(place(Error::detected(ErrorKind::NoSuchMethod, text)));
        }
        let body = request(all);
        let method = descriptions::METHOD;
        let waiter = self.0.own_call(method, &body, |call| connection.begin(call, &deadline));
        let waiter = waiter.map_err(place)?;
        let reply = connection.finish(waiter, &mut deadline).map_err(place)?;
        let all = self.0.read_reply(connection, descriptions::METHOD, None, reply);
        read_descriptions(all)
    }

    /// Requests descriptions as [`UntypedClient::describe`] does, and returns before they have
    /// arrived.
    #[cfg(feature = "tokio")]
    pub fn begin_describe(&self, all: bool) -> PendingCall<Result<Vec<owned::Description>>> {
        let arguments = |out: &mut Encoder<'_>| out.put(&request(all).as_slice());
        self.0.begin_as(descriptions::METHOD, None, arguments, |client, method, declared, reply| {
            read_descriptions(client.read(method, declared, reply?))
        })
    }

    /// Calls a method. `arguments` encodes the arguments, and `read` decodes the result, or the
    /// method's own error if its argument is `true`. Errors name the method and its parameters as
    /// `description` does.
    ///
    /// # Errors
    /// The errors of a call.
    pub fn call<'a, T>(
        &self,
        description: &owned::Description,
        method: u32,
        arguments: impl FnOnce(&mut Encoder<'a>),
        read: impl FnOnce(&mut Decoder<'_>, bool) -> Result<T, DecodeError>,
    ) -> Result<T> {
        let names = Names { description, method };
        let mut deadline = self.0.deadline();
        let reply =
            self.0.with_call(method, &mut deadline, arguments, |connection, call, deadline| {
                Ok((connection, connection.call(call, deadline)?))
            });
        let (connection, reply) = reply.map_err(|error| names.name(error))?;
        self.read(connection, names, reply, read)
    }

    /// Adds the name of a method to the error of a call that was begun.
    pub fn name_error(description: &owned::Description, method: u32, error: Error) -> Error {
        Names { description, method }.name(error)
    }

    /// Begins a call like [`UntypedClient::call`]. [`UntypedReply::read`] decodes its reply, and
    /// [`UntypedClient::name_error`] adds the method to an error without a reply.
    pub fn begin<'a>(
        &self,
        method: u32,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> PendingCall<Result<UntypedReply>> {
        self.0.begin_as(method, None, arguments, |client, method, _, reply| {
            Ok(UntypedReply { client: Self(client.clone()), method, reply: reply? })
        })
    }

    fn read<T>(
        &self,
        connection: &Arc<ClientConnection>,
        names: Names<'_>,
        reply: EncodedReply,
        read: impl FnOnce(&mut Decoder<'_>, bool) -> Result<T, DecodeError>,
    ) -> Result<T> {
        let method_ref = MethodRef { interface: &UNTYPED, method: names.method };
        let result =
            self.0.read_reply_with(connection, names.method, reply, |status, mut input| {
                let wrong = |error: DecodeError| method_ref.wrong_result(error);
                if status == Status::Fault {
                    let fault = Fault::decode(&mut input).map_err(wrong)?;
                    input.finish().map_err(wrong)?;
                    return Err(CallError::Call(names.told(&fault)));
                }
                let value = read(&mut input, status == Status::Failed).map_err(wrong)?;
                input.finish().map_err(wrong)?;
                Ok(value)
            });
        result.map_err(|error: CallError<()>| match error {
            CallError::Call(error) => names.name(error),
            CallError::Method(()) => {
                names.name(Error::detected(ErrorKind::Malformed, "an unknown error"))
            }
        })
    }

    /// Decodes a reference to an object with this interface.
    ///
    /// # Errors
    /// The handle is no reference.
    pub fn decode(input: &mut Decoder<'_>, iid: Guid) -> Result<Self, DecodeError> {
        let client = Client::decode_object(input, &UNTYPED)?;
        Ok(Self(client.with_hello(Hello::new(Guid::NIL, iid))))
    }
}

impl Encode for UntypedClient {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        self.0.encode_object(out);
    }
}

/// The reply to a call of an untyped client.
#[derive(Debug)]
pub struct UntypedReply {
    client: UntypedClient,
    method: u32,
    reply: EncodedReply,
}

impl UntypedReply {
    /// Decodes the reply with `read`, as [`UntypedClient::call`] does.
    ///
    /// # Errors
    /// The errors of a call.
    pub fn read<T>(
        self,
        description: &owned::Description,
        read: impl FnOnce(&mut Decoder<'_>, bool) -> Result<T, DecodeError>,
    ) -> Result<T> {
        let Self { client, method, reply } = self;
        // The client is connected, because it got a reply.
        let connection = client.0.connection(&mut client.0.deadline())?;
        client.read(connection, Names { description, method }, reply, read)
    }
}

/// The names of a called method and of its parameters.
#[derive(Clone, Copy)]
struct Names<'d> {
    description: &'d owned::Description,
    method: u32,
}

impl Names<'_> {
    fn name(self, error: Error) -> Error {
        let Self { description, method } = self;
        match description.methods.get(method as usize) {
            Some(method) => error.at(&format!("{}::{}", description.name, method.name)),
            None => error.at(&description.name),
        }
    }

    /// Converts a fault to an error that names the parameter.
    fn told(self, fault: &Fault) -> Error {
        let error = Error::from_fault(fault);
        let Some((Some(index), path)) = place_of(fault) else { return error };
        let method = self.description.methods.get(self.method as usize);
        match method.and_then(|method| method.parameters.get(usize::from(index))) {
            Some(parameter) => error.at(&format!("parameter `{}`", path.within(&parameter.name))),
            None => error.at(&format!("parameter {}", path.within(&index.to_string()))),
        }
    }
}

/// Decodes the descriptions that a server has sent.
fn read_descriptions(all: Result<Vec<Vec<u8>>, CallError<()>>) -> Result<Vec<owned::Description>> {
    let method_ref = MethodRef { interface: &UNTYPED, method: descriptions::METHOD };
    let all = method_ref.without_error(all).and_then(|all| {
        all.iter().map(|bytes| read_description(bytes)).collect::<Result<Vec<_>>>()
    });
    all.map_err(|error| error.at("description of the object"))
}
