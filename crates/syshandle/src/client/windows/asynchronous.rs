//! Waits in a tokio runtime on Windows, made [in the background](crate::background).

use syshandle_os::{BorrowedHandle, Handle, OwnedHandle, Waitable};

use crate::Result;
use crate::client::Client;

impl Client {
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
