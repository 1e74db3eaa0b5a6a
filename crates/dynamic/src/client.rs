//! A client whose interface is known only at run time.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use syshandle::describe::owned::{DescribedMethod, Description};
use syshandle::generated::UntypedClient;
use syshandle::handle::OwnedHandle;
use syshandle::object::Proxy;
use syshandle::{Activation, Client, Credentials, ErrorKind, Guid};
use syshandle_types::{DecodeError, Decoder, Encoder, Printable};

use crate::reader::Reader;
use crate::schema::Schema;
use crate::writer::Writer;
use crate::{Error, Value};

/// A reference to an object whose interface is known only at run time.
///
/// The client asks the server for the description of the interface when it is first needed. A
/// `DynamicClient` is cheap to clone, and any number of threads may use it at once.
#[derive(Clone)]
pub struct DynamicClient(Arc<Inner>);

struct Inner {
    client: UntypedClient,
    /// IID of the interface; [`Guid::NIL`] until the description was received.
    iid: Guid,
    schema: OnceLock<Schema>,
}

impl DynamicClient {
    /// Connects to the server of a class, and starts the server if it isn't running. `iid` selects
    /// an interface of the class, the first one by default.
    ///
    /// # Errors
    /// The errors of [`Activation::activate`], and the errors of
    /// [`DynamicClient::description`].
    pub fn activate(clsid: Guid, iid: Option<Guid>) -> Result<Self, Error> {
        Self::activate_with(&Activation::new(), clsid, iid)
    }

    /// Connects like [`DynamicClient::activate`], with the options of an [`Activation`].
    ///
    /// # Errors
    /// The errors of [`DynamicClient::activate`].
    pub fn activate_with(
        activation: &Activation,
        clsid: Guid,
        iid: Option<Guid>,
    ) -> Result<Self, Error> {
        Self::described(UntypedClient::activate(activation, clsid, iid.unwrap_or(Guid::NIL))?)
    }

    /// Connects to the server that listens at a path. `iid` selects an interface of the server, the
    /// first one by default. The caller has to decide whether the server is the intended one, for
    /// example by [`DynamicClient::server`].
    ///
    /// # Errors
    /// The errors of [`connect`](syshandle::direct::connect), and the errors of
    /// [`DynamicClient::description`].
    pub fn connect(path: impl AsRef<Path>, iid: Option<Guid>) -> Result<Self, Error> {
        let iid = iid.unwrap_or(Guid::NIL);
        Self::described(UntypedClient::connect(path.as_ref(), iid, Client::TIMEOUT)?)
    }

    /// Makes a client over a socket that is one end of a connection.
    ///
    /// # Errors
    /// The errors of [`from_socket`](syshandle::direct::from_socket), and the errors of
    /// [`DynamicClient::description`].
    pub fn from_socket(socket: impl Into<OwnedHandle>, iid: Option<Guid>) -> Result<Self, Error> {
        let iid = iid.unwrap_or(Guid::NIL);
        Self::described(UntypedClient::from_socket(socket.into(), iid, Client::TIMEOUT)?)
    }

    /// Connects through a door.
    ///
    /// # Errors
    /// The errors of [`from_door`](syshandle::direct::from_door), and the errors of
    /// [`DynamicClient::description`].
    pub fn from_door(door: impl Into<OwnedHandle>, iid: Option<Guid>) -> Result<Self, Error> {
        let iid = iid.unwrap_or(Guid::NIL);
        Self::described(UntypedClient::from_door(door.into(), iid, Client::TIMEOUT)?)
    }

    /// Makes a client of the object to which a typed client refers, for example to pass it as an
    /// argument. Connects first, unless this process serves the object.
    ///
    /// # Errors
    /// The errors of connecting.
    pub fn from_typed<P: Proxy>(client: &P) -> Result<Self, Error> {
        let client = client.as_client();
        Ok(Self::of_reference(UntypedClient::of(client)?, client.interface().iid))
    }

    /// Returns a typed reference to an interface of the object.
    ///
    /// # Errors
    /// [`NoSuchInterface`](syshandle::ErrorKind::NoSuchInterface), or any error of a call.
    pub fn to_typed<P: Proxy>(&self) -> Result<P, Error> {
        Ok(self.0.client.typed()?)
    }

    /// Returns a reference to another interface of the object.
    ///
    /// # Errors
    /// [`NoSuchInterface`](syshandle::ErrorKind::NoSuchInterface), or any error of a call.
    pub fn cast(&self, iid: Guid) -> Result<Self, Error> {
        Ok(Self::of_reference(self.0.client.cast(iid)?, iid))
    }

    /// Returns the descriptions of all interfaces of the object.
    ///
    /// # Errors
    /// The errors of [`DynamicClient::description`].
    pub fn interfaces(&self) -> Result<Vec<Description>, Error> {
        Ok(self.0.client.describe(true)?)
    }

    /// Makes a client that has received its description.
    fn described(client: UntypedClient) -> Result<Self, Error> {
        let description = first(client.describe(false)?)?;
        let iid = description.iid;
        let schema = OnceLock::from(Schema::new(description));
        Ok(Self(Arc::new(Inner { client, iid, schema })))
    }

    /// Makes a client of a reference in a result.
    pub(crate) fn of_reference(client: UntypedClient, iid: Guid) -> Self {
        Self(Arc::new(Inner { client, iid, schema: OnceLock::new() }))
    }

    /// Returns the same reference with a different call timeout.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let client = self.0.client.with_timeout(timeout);
        let schema = OnceLock::new();
        if let Some(known) = self.0.schema.get() {
            let _ = schema.set(Schema::new(known.description.clone()));
        }
        Self(Arc::new(Inner { client, iid: self.0.iid, schema }))
    }

    /// Returns the credentials of the server, as the kernel reports them.
    ///
    /// # Errors
    /// The errors of connecting.
    pub fn server(&self) -> Result<Credentials, Error> {
        Ok(self.0.client.server()?)
    }

    /// Returns the IID of the object's interface.
    pub fn iid(&self) -> Guid {
        self.0.iid
    }

    pub(crate) fn untyped(&self) -> &UntypedClient {
        &self.0.client
    }

    /// Returns the description of the object's interface. Asks the server for it, if the client was
    /// received as a reference and has not been used yet. The texts come from the server, so a program
    /// that prints them escapes them, for example with [`Printable`](syshandle::Printable).
    ///
    /// # Errors
    /// The errors of a call. [`NoSuchMethod`](syshandle::ErrorKind::NoSuchMethod) if the server does
    /// not describe its interfaces.
    pub fn description(&self) -> Result<&Description, Error> {
        Ok(&self.schema()?.description)
    }

    fn schema(&self) -> Result<&Schema, Error> {
        if let Some(schema) = self.0.schema.get() {
            return Ok(schema);
        }
        self.keep(self.0.client.describe(false)?)
    }

    /// Keeps the description of the object's interface.
    fn keep(&self, received: Vec<Description>) -> Result<&Schema, Error> {
        let description = first(received)?;
        if description.iid != self.0.iid {
            let (expected, got) = (self.0.iid, description.iid);
            let text = format!("expected the description of {expected}, got the one of {got}");
            return Err(syshandle::Error::new(ErrorKind::Malformed, text).into());
        }
        Ok(self.0.schema.get_or_init(|| Schema::new(description)))
    }

    /// Calls a method with its arguments in order, and returns its result. Waits for the end of a
    /// one-way method too, so its failure is the error of the call.
    ///
    /// # Errors
    /// [`Error::Argument`] if the interface has no such method, the method takes or returns a stream,
    /// or an argument does not match the description, [`Error::Method`] for the method's own error,
    /// and [`Error::Call`] for all errors of a call. The texts name the method, and the path of the value: ``Printer::print: parameter
    /// `job.copies` ``.
    pub fn call(&self, method: &str, arguments: &[Value]) -> Result<Value, Error> {
        let call = Call::of(self.schema()?, method, arguments)?;
        let mut wrong = None;
        let called = self.0.client.call(
            &call.schema.description,
            call.number,
            |out| wrong = call.write(out).err(),
            |input, is_error| call.read(input, is_error),
        );
        match wrong {
            Some(wrong) => Err(wrong),
            None => called?.map_err(Error::Method),
        }
    }

    /// Calls a method like [`DynamicClient::call`], in a tokio runtime with I/O and time. No thread
    /// waits. Dropping the future cancels the call.
    ///
    /// # Errors
    /// The errors of [`DynamicClient::call`].
    #[cfg(feature = "tokio")]
    pub async fn call_async(&self, method: &str, arguments: &[Value]) -> Result<Value, Error> {
        let call = Call::of(self.schema_async().await?, method, arguments)?;
        let mut wrong = None;
        let begun = self.0.client.begin(call.number, |out| wrong = call.write(out).err());
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let reply = begun.await.map_err(|error| call.name(error))?;
        let read =
            reply.read(&call.schema.description, |input, is_error| call.read(input, is_error));
        read?.map_err(Error::Method)
    }

    /// Returns the description of the object's interface like [`DynamicClient::description`], in a
    /// tokio runtime.
    ///
    /// # Errors
    /// The errors of [`DynamicClient::description`].
    #[cfg(feature = "tokio")]
    pub async fn description_async(&self) -> Result<&Description, Error> {
        Ok(&self.schema_async().await?.description)
    }

    #[cfg(feature = "tokio")]
    async fn schema_async(&self) -> Result<&Schema, Error> {
        if let Some(schema) = self.0.schema.get() {
            return Ok(schema);
        }
        let received = self.0.client.begin_describe(false).await?;
        self.keep(received)
    }
}

/// Returns the description that a server has sent.
fn first(received: Vec<Description>) -> Result<Description, Error> {
    let none = || {
        let text = "the server sent no description of the object";
        syshandle::Error::new(ErrorKind::Malformed, text)
    };
    Ok(received.into_iter().next().ok_or_else(none)?)
}

/// A call of a described method.
pub(crate) struct Call<'c> {
    pub(crate) schema: &'c Schema,
    /// Number of the method.
    pub(crate) number: u32,
    method: &'c DescribedMethod,
    arguments: &'c [Value],
}

impl<'c> Call<'c> {
    /// Finds the method, and checks the number of its arguments.
    pub(crate) fn of(
        schema: &'c Schema,
        method: &str,
        arguments: &'c [Value],
    ) -> Result<Self, Error> {
        let description = &schema.description;
        let wrong = |text: &str| argument_error(&description.name, method, text);
        let Some(number) = description.method(method) else {
            return Err(wrong("the interface has no such method"));
        };
        let method = &description.methods[number as usize];
        if method.parameters.len() != arguments.len() {
            let (expected, got) = (method.parameters.len(), arguments.len());
            let plural = if expected == 1 { "" } else { "s" };
            return Err(wrong(&format!("expected {expected} argument{plural}, got {got}")));
        }
        let mut values = method.parameters.iter().chain([&method.result]);
        if values.any(|value| value.ty.has_stream()) {
            return Err(wrong("the method takes or returns a stream, and this client has none"));
        }
        Ok(Self { schema, number, method, arguments })
    }

    /// Checks and encodes the arguments.
    pub(crate) fn write(&self, out: &mut Encoder<'c>) -> Result<(), Error> {
        let writer = Writer { schema: self.schema };
        for (parameter, argument) in self.method.parameters.iter().zip(self.arguments) {
            let name = || parameter.name.clone();
            let written = out.part(name, |out| writer.value(parameter, argument, out));
            written.map_err(|wrong| {
                let text = wrong.text(&parameter.name);
                argument_error(&self.schema.description.name, &self.method.name, &text)
            })?;
        }
        Ok(())
    }

    /// Decodes the result, or the method's own error.
    pub(crate) fn read(
        &self,
        input: &mut Decoder<'_>,
        is_error: bool,
    ) -> Result<Result<Value, Value>, DecodeError> {
        let reader = Reader { schema: self.schema };
        match (&self.method.error, is_error) {
            (Some(error), true) => Ok(Err(reader.read(error, None, input, 0)?)),
            _ => Ok(Ok(reader.value(&self.method.result, input)?)),
        }
    }

    /// Adds the name of the method to an error.
    #[cfg(feature = "tokio")]
    pub(crate) fn name(&self, error: syshandle::Error) -> Error {
        let description = &self.schema.description;
        Error::Call(UntypedClient::name_error(description, self.number, error))
    }
}

fn argument_error(interface: &str, method: &str, text: &str) -> Error {
    Error::Argument(Printable(format!("{interface}::{method}: {text}")).to_string())
}

/// Compares the identity of two references in this process.
impl PartialEq for DynamicClient {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for DynamicClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.schema.get() {
            Some(schema) => write!(f, "object with {}", schema.description.name),
            None => write!(f, "object with {}", self.0.iid),
        }
    }
}
