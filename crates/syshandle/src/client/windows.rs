//! Client side: a typed reference to an object in this or another process.

#[cfg(feature = "tokio")]
mod asynchronous;
pub(crate) mod calls;
mod cancel;
pub(crate) mod local_object;
pub(crate) mod pending_call;
pub(crate) mod remote_object;

use std::any::Any;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use syshandle_com::{InterfacePointer, ReceivedHandle};
use syshandle_os::{BorrowedHandle, Credentials, Declaration, OwnedHandle, Waitable};
use syshandle_types::describe::Interface as Description;
use syshandle_types::{Decode, DecodeError, DecodeErrorKind, Decoder, EncodeErrorKind, Encoder};
use syshandle_wire::Status;

use self::calls::Deadline;
pub(super) use self::cancel::CancelState;
use self::local_object::LocalObject;
use self::remote_object::RemoteObject;
use super::Client;
use crate::buffer::take_bytes;
use crate::call_target::ComTarget;
use crate::limits::{self, LIMITS};
use crate::received_handles::KernelProver;
use crate::stand_in::{self, HandleOrObject, PassedReference, StandIn};
use crate::withdrawal::Withdrawal;
use crate::{CallError, Error, ErrorKind, Result};

/// The object that a client refers to.
#[derive(Clone, Debug)]
pub(super) struct ObjectRef {
    location: ObjectLocation,
    /// Handle that represents this reference in messages.
    stand_in: Arc<OnceLock<StandIn>>,
}

impl ObjectRef {
    /// Returns the value that withdraws the object, if this is the reference of its owner.
    pub(super) fn withdrawal(&self) -> Option<Withdrawal> {
        match &self.location {
            ObjectLocation::Remote(_) => None,
            ObjectLocation::Local(local) => local.withdrawal(),
        }
    }
}

/// Location of the object.
#[derive(Clone, Debug)]
enum ObjectLocation {
    /// In another process, reached through COM.
    Remote(Arc<RemoteObject>),
    /// In this process.
    Local(Arc<LocalObject>),
}

/// Reply of a call.
pub(super) use self::ComReply as EncodedReply;

/// Reply of a call.
#[derive(Debug)]
pub(crate) struct ComReply {
    pub(crate) status: Status,
    pub(crate) body: Vec<u8>,
    pub(crate) handles: Vec<HandleOrObject>,
}

impl ComReply {
    /// Returns the result `()`.
    fn nothing() -> Self {
        Self { status: Status::Done, body: vec![0], handles: Vec::new() }
    }
}

impl Client {
    /// Makes a reference to an object of this process.
    pub(crate) fn local(object: LocalObject, interface: &'static Description) -> Self {
        Self::new(ObjectLocation::Local(Arc::new(object)), interface)
    }

    fn new(location: ObjectLocation, interface: &'static Description) -> Self {
        Self::of(ObjectRef { location, stand_in: Arc::default() }, interface)
    }

    /// Makes a reference from one that COM returned. Must run on a thread of the apartment.
    pub(crate) fn from_remote(reference: InterfacePointer) -> Result<Self> {
        let interface = reference.interface();
        // If this process serves the object, the reference leads to the object itself.
        let served = reference.served().map(|object| -> Arc<dyn Any + Send + Sync> { object });
        match served.map(Arc::downcast::<ComTarget>) {
            Some(Ok(object)) => {
                Ok(Self::local(LocalObject::new(object.0.clone(), interface)?, interface))
            }
            _ => {
                let remote = Arc::new(RemoteObject::attach(reference)?);
                Ok(Self::new(ObjectLocation::Remote(remote), interface))
            }
        }
    }

    /// Returns the process that serves the object.
    pub(super) fn server_credentials(&self) -> Result<Credentials> {
        match &self.object.location {
            ObjectLocation::Remote(reference) => reference.server(),
            ObjectLocation::Local(_) => Ok(Credentials::of_process(std::process::id())),
        }
    }

    /// Waits for an object of the server.
    pub(super) fn wait_for(&self, object: &dyn Waitable) -> Result<()> {
        match &self.object.location {
            ObjectLocation::Remote(reference) => reference.wait(object, self.deadline()),
            ObjectLocation::Local(local) => local.wait(object, self.deadline()),
        }
    }

    /// Returns a reference to the same object by another of its interfaces.
    pub(super) fn cast_to(&self, interface: &'static Description) -> Result<Self> {
        let location = match &self.object.location {
            ObjectLocation::Remote(reference) => {
                ObjectLocation::Remote(Arc::new(reference.cast(interface, self.deadline())?))
            }
            ObjectLocation::Local(local) => ObjectLocation::Local(Arc::new(local.cast(interface)?)),
        };
        let object = ObjectRef { location, stand_in: Arc::default() };
        Ok(Self { interface, object, ..self.clone() })
    }

    /// Calls a method of the object.
    pub(super) fn call_object<'a, T: Decode, E: Decode>(
        &self,
        method: u32,
        declared: Option<Declaration>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<T, CallError<E>> {
        let (bytes, handles) = self.encode(method, arguments)?;
        let reply = self.exchange(method, bytes, handles)?;
        self.read(method, declared, reply)
    }

    /// Makes a one-way call, which COM makes like any other.
    pub(super) fn call_one_way_object<'a>(
        &self,
        method: u32,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<()> {
        self.method_ref(method).without_error(self.call_object(method, None, arguments))
    }

    /// Returns at once, because each one-way call has ended when it returns.
    pub(super) fn flush_object(&self) -> Result<()> {
        Ok(())
    }

    /// Encodes the arguments of a call and duplicates their handles, because an abandoned call
    /// continues after its caller has stopped waiting.
    pub(super) fn encode<'a>(
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
            let text = "a handle to send can't be duplicated";
            method_ref.name(Error::detected(ErrorKind::System, text).because(error))
        })?;
        Ok((bytes, copies))
    }

    /// Sends a call and waits for its reply, on this thread.
    pub(super) fn exchange(
        &self,
        method: u32,
        bytes: Vec<u8>,
        handles: Vec<HandleOrObject>,
    ) -> Result<ComReply> {
        let deadline = self.deadline();
        let reply = match &self.object.location {
            ObjectLocation::Remote(reference) => reference.call(method, bytes, handles, deadline),
            ObjectLocation::Local(local) => local.call(method, bytes, handles, deadline),
        };
        reply.map_err(|error| self.method_ref(method).name(error))
    }

    /// Decodes a reply.
    pub(super) fn read<T: Decode, E: Decode>(
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
            let text = "the references of the result couldn't be received";
            let error = Error::detected(ErrorKind::System, text).because(error);
            Err(method_ref.name(error.maybe_ran()).into())
        })
    }

    fn deadline(&self) -> Deadline<'_> {
        let instant = limits::deadline(Instant::now(), self.timeout);
        Deadline { instant, cancel: self.cancel.as_ref() }
    }
}

impl Client {
    /// Encodes a reference as the handle that represents it.
    pub(super) fn encode_object<'a>(&'a self, out: &mut Encoder<'a>) {
        match self.stand_in() {
            Ok(handle) => out.put_handle(handle),
            Err(error) => out.fail(EncodeErrorKind::Handle(error)),
        }
    }

    /// Returns the handle that represents this reference in messages.
    fn stand_in(&self) -> io::Result<BorrowedHandle<'_>> {
        if let Some(known) = self.object.stand_in.get() {
            return Ok(known.as_handle());
        }
        let mut copy = self.clone();
        copy.object.stand_in = Arc::default();
        let stand_in = StandIn::new(Arc::new(copy))?;
        Ok(self.object.stand_in.get_or_init(|| stand_in).as_handle())
    }

    /// Decodes a reference from the handle that represents it.
    pub(super) fn decode_object(
        input: &mut Decoder<'_>,
        interface: &'static Description,
    ) -> Result<Self, DecodeError> {
        let handle: OwnedHandle = input.take_handle()?;
        let reference = stand_in::take(&handle)
            .and_then(|reference| reference.into_client().downcast::<Self>().ok())
            .map(Arc::unwrap_or_clone);
        reference.filter(|reference| reference.interface.iid == interface.iid).ok_or_else(|| {
            input.error(DecodeErrorKind::Value { expected: "reference to an object" })
        })
    }
}

impl PassedReference for Client {
    fn to_com(&self) -> Result<InterfacePointer> {
        match &self.object.location {
            ObjectLocation::Remote(reference) => reference.offer(),
            ObjectLocation::Local(local) => local.offer(),
        }
    }

    fn into_client(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// Converts a handle or reference that COM passed to this process. Must run on a thread of the
/// apartment.
pub(crate) fn receive(received: ReceivedHandle) -> Result<HandleOrObject> {
    Ok(match received {
        ReceivedHandle::Handle(handle) => HandleOrObject::Handle(handle),
        ReceivedHandle::Object(reference) => {
            HandleOrObject::Object(Arc::new(Client::from_remote(reference)?))
        }
    })
}
