//! The client side: a typed reference to an object in this process or another one.

mod begin;
pub(crate) mod cancel;

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        pub(crate) mod windows;

        use windows as platform;
    } else {
        pub(crate) mod linux;

        use linux as platform;
    }
}

#[cfg(not(windows))]
use std::sync::Arc;
use std::time::Duration;

#[cfg(not(windows))]
use syshandle_os::Filesystems;
use syshandle_os::{Credentials, Declaration, Waitable};
use syshandle_types::describe::Interface as Description;
use syshandle_types::{Decode, DecodeError, Decoder, Encode, Encoder};

use self::cancel::Cancel;
use self::platform::{EncodedReply, ObjectRef};
use crate::class::{Interface, Proxy};
use crate::limits::CALL_TIMEOUT;
use crate::method_ref::MethodRef;
use crate::withdrawal::Withdrawal;
use crate::{CallError, Result};

/// An untyped reference to an object. Every generated client wraps one.
///
/// A `Client` is cheap to clone, and any number of threads may use it at once. The object is
/// released when the last clone is dropped.
///
/// On Linux, references that methods return, and casts, share the connection of the client. The
/// object for which the connection was made lives as long as one of them.
///
/// On Linux, a client belongs to the process that made it. In a forked copy of that process each
/// use returns an error of the kind [`ErrorKind::OtherProcess`](crate::ErrorKind::OtherProcess),
/// and dropping the copy of the client has no effect on the connection.
///
/// On Windows, the calling thread may be in any apartment, because another thread makes the call,
/// in the multithreaded apartment. A call whose timeout has passed is abandoned and may still run.
#[derive(Clone, Debug)]
pub struct Client {
    interface: &'static Description,
    object: ObjectRef,
    timeout: Duration,
    cancel: Option<Cancel>,
}

impl Client {
    /// Default timeout of a call.
    pub const TIMEOUT: Duration = CALL_TIMEOUT;

    fn of(object: ObjectRef, interface: &'static Description) -> Self {
        Self { interface, object, timeout: Self::TIMEOUT, cancel: None }
    }

    /// Returns the same reference with a different call timeout.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Returns the same reference with `cancel` attached. [`Cancel::cancel`] ends the calls of the
    /// returned reference.
    #[must_use]
    pub fn with_cancel(&self, cancel: &Cancel) -> Self {
        Self { cancel: Some(cancel.clone()), ..self.clone() }
    }

    /// Returns the description of the interface that this client calls.
    pub fn interface(&self) -> &'static Description {
        self.interface
    }

    /// Returns the credentials of the process that serves the object. On Linux the kernel reports
    /// them, and the client connects first if necessary.
    ///
    /// On a generated client, call `client.as_client().server()`:
    /// [`as_client`](crate::class::Proxy::as_client) is a method of the trait [`Proxy`], which has
    /// to be in scope.
    ///
    /// # Errors
    /// On Linux, the errors of connecting. On Windows,
    /// [`ErrorKind::NoSuchInterface`](crate::ErrorKind::NoSuchInterface) if the server doesn't use
    /// this crate, because it doesn't report its process.
    pub fn server(&self) -> Result<Credentials> {
        self.server_credentials()
    }

    /// Waits until the server signals `object`, until the client's timeout has passed, or until the
    /// server ends. An auto-reset event is reset. On Windows the wait ends with the server only if
    /// the server uses this crate.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut),
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled), and
    /// [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected) as soon as the server has ended.
    pub fn wait(&self, object: &dyn Waitable) -> Result<()> {
        self.wait_for(object)
    }

    /// Returns a reference to another interface of the same object.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchInterface`](crate::ErrorKind::NoSuchInterface), or any error of a call.
    pub fn cast<P: Proxy>(&self) -> Result<P> {
        Ok(P::from_client(self.cast_to(P::Interface::DESCRIPTION)?))
    }

    /// Returns a value that withdraws the object, if this process serves it and this is the
    /// reference of its owner: the one that [`in_process`](crate::in_process()),
    /// [`Class::in_process`](crate::object::Class::in_process) or [`Context::serve`] returned, or a
    /// clone. A reference that a call or [`cast`](Self::cast) returned is not the owner's.
    ///
    /// [`Context::serve`]: crate::Context::serve
    pub fn withdrawal(&self) -> Option<Withdrawal> {
        self.object.withdrawal()
    }

    /// Calls a method without an error type of its own.
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
        self.call_object(method, declared, arguments)
    }

    /// Makes a one-way call, which has no reply.
    #[doc(hidden)]
    pub fn call_one_way<'a>(
        &self,
        method: u32,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<()> {
        let _entered = crate::log::debug_span!("call", method = %self.method_ref(method));
        self.call_one_way_object(method, arguments)
    }

    /// Waits until the one-way calls that this client and its clones have made have ended. Returns
    /// the first failure of one of them since the last flush. On Windows a one-way call returns when
    /// it has ended, so there is nothing to wait for.
    ///
    /// # Errors
    /// The error of the first call that failed. Otherwise any error of a call, which may have run if
    /// one of the one-way calls may have run.
    pub fn flush_one_way(&self) -> Result<()> {
        self.flush_object()
    }

    /// Waits in a task for an object that the server signals, as [`Client::wait`] does.
    ///
    /// # Errors
    /// The errors of [`Client::wait`].
    #[cfg(feature = "tokio")]
    #[doc(hidden)]
    pub async fn wait_async(&self, object: &(impl Waitable + Sync)) -> Result<()> {
        self.wait_for_async(object).await
    }

    /// Decodes a reference from a message.
    #[doc(hidden)]
    pub fn decode(
        input: &mut Decoder<'_>,
        interface: &'static Description,
    ) -> Result<Self, DecodeError> {
        Self::decode_object(input, interface)
    }

    fn method_ref(&self, method: u32) -> MethodRef {
        MethodRef { interface: self.interface, method }
    }
}

/// Converts a reply to a result.
type ReplyReader<R> = fn(&Client, u32, Option<Declaration>, Result<EncodedReply>) -> R;

#[cfg(not(windows))]
impl Client {
    /// Returns the same reference with another set of accepted file systems. A file that the server
    /// returns must be on one of them. The default is the kernel's local file systems. Linux only.
    #[must_use]
    pub fn with_filesystems(&self, filesystems: Arc<Filesystems>) -> Self {
        let mut client = self.clone();
        client.object.filesystems = Some(filesystems);
        client
    }
}

/// Encodes the reference, for a receiver that decodes a client of the same interface.
impl Encode for Client {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        self.encode_object(out);
    }
}
