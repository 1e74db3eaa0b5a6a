//! A client whose interface is known only at run time, for the crate `syshandle-dynamic`.

use std::time::Duration;

use syshandle_os::Credentials;
use syshandle_types::describe::Interface as Description;
use syshandle_types::describe::owned;
use syshandle_types::{Decode, DecodeError, Decoder, Encode, Encoder, Guid};
use syshandle_wire::{Fault, Hello, Status};

use super::compatibility::{first_description, request};
use super::connection::ClientConnection;
use crate::client::Client;
use crate::method_ref::MethodRef;
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

    /// Requests the description of the object's interface.
    ///
    /// # Errors
    /// The errors of a call. [`ErrorKind::NoSuchMethod`] if the server does not describe its
    /// interfaces, and [`ErrorKind::Malformed`] if the description is not valid.
    pub fn describe(&self) -> Result<owned::Description> {
        let place = |error: Error| error.at("description of the object");
        let mut deadline = self.0.deadline();
        let connection = self.0.connection(&mut deadline).map_err(place)?;
        if connection.description() == 0 {
            let text = "the server does not describe its interfaces";
            return Err(place(Error::detected(ErrorKind::NoSuchMethod, text)));
        }
        let body = request();
        let method = descriptions::METHOD;
        let waiter = self.0.own_call(method, &body, |call| connection.begin(call, &deadline));
        let waiter = waiter.map_err(place)?;
        let reply = connection.finish(waiter, &mut deadline).map_err(place)?;
        let all = self.0.read_reply(connection, descriptions::METHOD, None, reply);
        let all: Vec<Vec<u8>> =
            MethodRef { interface: &UNTYPED, method: descriptions::METHOD }.without_error(all)?;
        first_description(&all).map_err(place)
    }

    /// Calls a method. `arguments` encodes the arguments, and `read` decodes the result, or the
    /// method's own error if its argument is `true`.
    ///
    /// # Errors
    /// The errors of a call. Errors of values name parameters by their index.
    pub fn call<'a, T>(
        &self,
        method: u32,
        arguments: impl FnOnce(&mut Encoder<'a>),
        read: impl FnOnce(&mut Decoder<'_>, bool) -> Result<T, DecodeError>,
    ) -> Result<T> {
        let mut deadline = self.0.deadline();
        let reply =
            self.0.with_call(method, &mut deadline, arguments, |connection, call, deadline| {
                Ok((connection, connection.call(call, deadline)?))
            });
        let (connection, reply) = reply?;
        let method_ref = MethodRef { interface: &UNTYPED, method };
        let result = self.0.read_reply_with(connection, method, reply, |status, mut input| {
            let wrong = |error: DecodeError| method_ref.wrong_result(error);
            if status == Status::Fault {
                let fault = Fault::decode(&mut input).map_err(wrong)?;
                input.finish().map_err(wrong)?;
                return Err(CallError::Call(method_ref.told(&fault)));
            }
            let value = read(&mut input, status == Status::Failed).map_err(wrong)?;
            input.finish().map_err(wrong)?;
            Ok(value)
        });
        result.map_err(|error: CallError<()>| match error {
            CallError::Call(error) => error,
            CallError::Method(()) => Error::detected(ErrorKind::Malformed, "an unknown error"),
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
