//! Calls in a tokio runtime on Windows, made [in the background](crate::background).

use syshandle_os::{BorrowedHandle, Declaration, Handle, OwnedHandle, Waitable};
use syshandle_types::{Decode, Encoder};

use crate::client::Client;
use crate::stand_in::HandleOrObject;
use crate::{CallError, Result};

impl Client {
    /// Calls a method of the object on another thread.
    pub(in crate::client) async fn call_object_async<'a, T: Decode, E: Decode>(
        &self,
        method: u32,
        declared: Option<Declaration>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<T, CallError<E>> {
        let (bytes, handles): (Vec<u8>, Vec<HandleOrObject>) = self.encode(method, arguments)?;
        let reply = self.in_background(move |client| client.exchange(method, bytes, handles));
        self.read_reply(method, declared, reply.await?)
    }

    /// Waits for an object of the server on another thread.
    pub(in crate::client) async fn wait_for_async(
        &self,
        object: &(impl Waitable + Sync),
    ) -> Result<()> {
        let object = Duplicate(object.handle().try_clone_to_owned()?);
        self.in_background(move |client| client.wait(&object)).await
    }
}

/// Duplicated handle for a wait, because the task that lends the object may be dropped before the
/// wait ends.
struct Duplicate(OwnedHandle);

impl Waitable for Duplicate {
    fn handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}
