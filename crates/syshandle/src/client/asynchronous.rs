//! Calls in a tokio runtime, made [in the background](crate::background).

use syshandle_os::{Declaration, Waitable};
use syshandle_types::{Decode, Encoder};

use super::Client;
use crate::{CallError, Result};

impl Client {
    /// Calls a method that has no error type of its own.
    #[doc(hidden)]
    pub async fn call_async<'a, T: Decode>(
        &self,
        method: u32,
        declared: Option<Declaration>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<T> {
        let result = self.call_with_error_async(method, declared, arguments).await;
        self.method_ref(method).without_error(result)
    }

    /// Calls a method that has an error type of its own.
    #[doc(hidden)]
    pub async fn call_with_error_async<'a, T: Decode, E: Decode>(
        &self,
        method: u32,
        declared: Option<Declaration>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<T, CallError<E>> {
        let (bytes, handles) = self.encode(method, arguments)?;
        let reply = self.in_background(move |client| client.exchange(method, bytes, handles));
        self.read(method, declared, reply.await?)
    }

    /// Waits for an object that the server signals, as [`Client::wait`] does.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut),
    /// [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected).
    #[doc(hidden)]
    pub async fn wait_async(&self, object: &(impl Waitable + Sync)) -> Result<()> {
        self.wait_for_async(object).await
    }
}
