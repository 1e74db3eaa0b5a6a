//! Calls in a tokio runtime.
//!
//! A call is blocking by nature, on Windows too. So an asynchronous one is made by a thread of the
//! runtime's pool for blocking work, and the task only waits for that. Dropping the future cancels
//! the call, and frees the thread at once.

use std::io;

use syshandle_os::{BorrowedHandle, Declared, Handle, OwnedHandle, Waitable};
use syshandle_wire::{Decode, Encoder};
use tokio::task::{JoinError, spawn_blocking};

use super::stand_in::Carried;
use super::{Cancel, Client};
use crate::{Activation, CallError, Error, ErrorKind, Proxy, Result};

impl Client {
    /// Calls a method that fails only as every call can.
    #[doc(hidden)]
    pub async fn call_async<'a, T: Decode>(
        &self,
        method: u32,
        declared: Option<Declared>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<T> {
        let result = self.call_with_error_async(method, declared, arguments).await;
        self.site(method).without_error(result)
    }

    /// Calls a method that has an error type of its own.
    #[doc(hidden)]
    pub async fn call_with_error_async<'a, T: Decode, E: Decode>(
        &self,
        method: u32,
        declared: Option<Declared>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<T, CallError<E>> {
        let (bytes, handles): (Vec<u8>, Vec<Carried>) = self.encode(method, arguments)?;
        let reply = self.in_background(move |client| client.exchange(method, bytes, handles));
        self.read_reply(method, declared, reply.await?)
    }

    /// Waits for an object of the server's, as [`Client::wait`] does.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`], [`ErrorKind::Disconnected`].
    #[doc(hidden)]
    pub async fn wait_async(&self, object: &(impl Waitable + Sync)) -> Result<()> {
        let object = Duplicate(object.handle().try_clone_to_owned()?);
        self.in_background(move |client| client.wait(&object)).await
    }

    /// Gets a client for a class, as `activate` does.
    #[doc(hidden)]
    pub async fn activate_async<P: Proxy + Send + 'static>(
        activation: Activation,
        clsid: crate::Guid,
    ) -> Result<P> {
        spawn_blocking(move || activation.activate(clsid)).await.map_err(ended)?
    }

    /// Does something that blocks; dropping the future cancels it.
    async fn in_background<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let cancel = Cancel::new()?;
        let client = self.with_cancel(&cancel);
        let _cancelled = CancelOnDrop(cancel);
        spawn_blocking(move || work(client)).await.map_err(ended)?
    }
}

/// A handle of the wait's own: the task that lends the object may be dropped before it ends.
struct Duplicate(OwnedHandle);

impl Waitable for Duplicate {
    fn handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

/// Cancels what its future was waiting for.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn ended(error: JoinError) -> Error {
    let because: io::Error = error.into();
    Error::new(ErrorKind::Cancelled, "the runtime has ended").because(because).maybe_ran()
}
