//! Client side: a typed reference to an object in this or another process.

#[cfg(feature = "tokio")]
mod asynchronous;
pub(crate) mod calls;
mod cancel;
pub(crate) mod local_object;
pub(crate) mod remote_object;

use std::any::Any;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use syshandle_com::InterfacePointer;
use syshandle_os::{BorrowedHandle, Credentials, Declaration, OwnedHandle, Waitable};
use syshandle_types::describe::Interface as Description;
use syshandle_types::{
    Decode, DecodeError, DecodeErrorKind, Decoder, Encode, EncodeErrorKind, Encoder,
};
use syshandle_wire::Status;

pub use cancel::Cancel;

use self::calls::Deadline;
use self::local_object::LocalObject;
use self::remote_object::RemoteObject;
use crate::buffer::take_bytes;
use crate::call_target::ComTarget;
use crate::class::{Interface, Proxy};
use crate::limits::{CALL_TIMEOUT, LIMITS};
use crate::method_ref::MethodRef;
use crate::received_handles::KernelProver;
use crate::stand_in::{self, HandleOrObject, StandIn};
use crate::{CallError, Error, ErrorKind, Result};

/// Reference to an object; every generated client wraps one.
///
/// A `Client` is cheap to clone, and any number of threads may use it at once. The object is
/// released when the last clone is dropped.
///
/// A thread of the multithreaded apartment makes each call, so the calling thread may be in any
/// apartment. A call whose timeout has passed is abandoned and may still run.
#[derive(Clone, Debug)]
pub struct Client {
    interface: &'static Description,
    target: ObjectLocation,
    timeout: Duration,
    cancel: Option<Cancel>,
    /// Handle that represents this reference in messages.
    stand_in: Arc<OnceLock<StandIn>>,
}

/// Location of the object.
#[derive(Clone, Debug)]
enum ObjectLocation {
    /// In another process, reached through COM.
    Remote(Arc<RemoteObject>),
    /// In this process.
    Own(Arc<LocalObject>),
}

/// Reply of a call.
#[derive(Debug)]
pub(crate) struct ComReply {
    pub(crate) status: Status,
    pub(crate) body: Vec<u8>,
    pub(crate) handles: Vec<HandleOrObject>,
}

impl Client {
    /// Default timeout of a call.
    pub const TIMEOUT: Duration = CALL_TIMEOUT;

    /// Makes a reference from COM's.
    pub(crate) fn remote(reference: RemoteObject, interface: &'static Description) -> Self {
        Self::new(ObjectLocation::Remote(Arc::new(reference)), interface)
    }

    /// Makes a reference to an object of this process.
    pub(crate) fn own(object: LocalObject, interface: &'static Description) -> Self {
        Self::new(ObjectLocation::Own(Arc::new(object)), interface)
    }

    fn new(target: ObjectLocation, interface: &'static Description) -> Self {
        let stand_in = Arc::default();
        Self { interface, target, timeout: Self::TIMEOUT, cancel: None, stand_in }
    }

    /// Makes a reference from one that was received in a message. Must run on a thread of the
    /// apartment.
    pub(crate) fn from_remote(reference: InterfacePointer) -> Result<Self> {
        let interface = reference.interface();
        // A reference that this process has passed before leads to the object itself.
        let served = reference.served().map(|object| -> Arc<dyn Any + Send + Sync> { object });
        match served.map(Arc::downcast::<ComTarget>) {
            Some(Ok(object)) => {
                Ok(Self::own(LocalObject::new(object.0.clone(), interface)?, interface))
            }
            _ => Ok(Self::remote(RemoteObject::attach(reference)?, interface)),
        }
    }

    /// Returns the reference in the form that COM passes. Must run on a thread of the apartment.
    pub(crate) fn offer(&self) -> Result<InterfacePointer> {
        match &self.target {
            ObjectLocation::Remote(reference) => reference.offer(),
            ObjectLocation::Own(own) => own.offer(),
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

    /// Returns the description of the interface that this client calls.
    pub fn interface(&self) -> &'static Description {
        self.interface
    }

    /// Returns the process that serves the object.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchInterface`] if the server doesn't use this crate, because it doesn't
    /// report its process.
    pub fn server(&self) -> Result<Credentials> {
        match &self.target {
            ObjectLocation::Remote(reference) => reference.server(),
            ObjectLocation::Own(_) => Ok(Credentials::of_process(std::process::id())),
        }
    }

    /// Waits until the server signals `object`, or until the client's timeout has passed. If the
    /// server uses this crate, the wait also ends with the server. An auto-reset event is reset.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`]; [`ErrorKind::Cancelled`]; [`ErrorKind::Disconnected`] as soon as
    /// the server has ended.
    pub fn wait(&self, object: &dyn Waitable) -> Result<()> {
        match &self.target {
            ObjectLocation::Remote(reference) => reference.wait(object, self.deadline()),
            ObjectLocation::Own(own) => own.wait(object, self.deadline()),
        }
    }

    /// Returns a reference to the same object by another of its interfaces.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchInterface`], or any error of a call.
    pub fn cast<P: Proxy>(&self) -> Result<P> {
        let interface = P::Interface::DESCRIPTION;
        let target = match &self.target {
            ObjectLocation::Remote(reference) => {
                ObjectLocation::Remote(Arc::new(reference.cast(interface, self.deadline())?))
            }
            ObjectLocation::Own(own) => ObjectLocation::Own(Arc::new(own.cast(interface)?)),
        };
        let stand_in = Arc::default();
        Ok(P::from_client(Self { interface, target, stand_in, ..self.clone() }))
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
        let _entered = crate::log::debug_span!("call", method = %self.method_ref(method));
        let (bytes, handles) = self.encode(method, arguments)?;
        let reply = self.exchange(method, bytes, handles)?;
        self.read_reply(method, declared, reply)
    }

    /// Encodes the arguments of a call and duplicates their handles, because an abandoned call
    /// continues after its caller has stopped waiting.
    fn encode<'a>(
        &self,
        method: u32,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<(Vec<u8>, Vec<HandleOrObject>)> {
        let method_ref = self.method_ref(method);
        let mut out = Encoder::new(take_bytes(), LIMITS);
        arguments(&mut out);
        let (bytes, handles) = out.finish().map_err(|error| method_ref.unsendable(error))?;
        let copies = handles.iter().map(HandleOrObject::copy).collect::<io::Result<_>>();
        let copies = copies.map_err(|error| {
            let text = "a handle to send couldn't be had";
            method_ref.name(Error::detected(ErrorKind::System, text).because(error))
        })?;
        Ok((bytes, copies))
    }

    /// Sends a call and waits for its reply, on this thread.
    fn exchange(
        &self,
        method: u32,
        bytes: Vec<u8>,
        handles: Vec<HandleOrObject>,
    ) -> Result<ComReply> {
        let deadline = self.deadline();
        let reply = match &self.target {
            ObjectLocation::Remote(reference) => reference.call(method, bytes, handles, deadline),
            ObjectLocation::Own(own) => own.call(method, bytes, handles, deadline),
        };
        reply.map_err(|error| self.method_ref(method).name(error))
    }

    /// Decodes a reply.
    fn read_reply<T: Decode, E: Decode>(
        &self,
        method: u32,
        declared: Option<Declaration>,
        reply: ComReply,
    ) -> Result<T, CallError<E>> {
        let method_ref = self.method_ref(method);
        let ComReply { status, body, handles } = reply;
        let read = |handles: Vec<_>| {
            method_ref.read(declared, status, Decoder::new(&body, handles, &KernelProver))
        };
        stand_in::hand_over(handles, read).unwrap_or_else(|error| {
            let text = "the references of the result couldn't be had";
            let error = Error::detected(ErrorKind::System, text).because(error);
            Err(method_ref.name(error.maybe_ran()).into())
        })
    }

    fn method_ref(&self, method: u32) -> MethodRef {
        MethodRef { interface: self.interface, method }
    }

    fn deadline(&self) -> Deadline<'_> {
        let now = Instant::now();
        // A timeout that doesn't fit into an `Instant` becomes one year.
        let instant = now.checked_add(self.timeout).unwrap_or(now + FOR_EVER);
        Deadline { instant, cancel: self.cancel.as_ref() }
    }
}

impl Encode for Client {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        match self.stand_in() {
            Ok(handle) => out.put_handle(handle),
            Err(error) => out.fail(EncodeErrorKind::Handle(error)),
        }
    }
}

impl Client {
    /// Returns the handle that represents this reference in messages.
    fn stand_in(&self) -> io::Result<BorrowedHandle<'_>> {
        if let Some(known) = self.stand_in.get() {
            return Ok(known.as_handle());
        }
        let made = StandIn::new(Self { stand_in: Arc::default(), ..self.clone() })?;
        Ok(self.stand_in.get_or_init(|| made).as_handle())
    }

    /// Decodes a reference from a message.
    #[doc(hidden)]
    pub fn decode(
        input: &mut Decoder<'_>,
        interface: &'static Description,
    ) -> Result<Self, DecodeError> {
        let handle: OwnedHandle = input.take_handle()?;
        let reference = stand_in::take(&handle);
        reference.filter(|reference| reference.interface.iid == interface.iid).ok_or_else(|| {
            input.error(DecodeErrorKind::Value { expected: "reference to an object" })
        })
    }
}

const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);
