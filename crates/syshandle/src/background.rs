//! Blocking work for tasks of a tokio runtime: activation, and on Windows each call.
//!
//! COM makes a call on the thread that waits for it. So on Windows a thread of the runtime's pool
//! for blocking work makes each asynchronous call, and the task only waits for that thread. Dropping
//! the future cancels the call, which frees the thread at once.

use tokio::task::spawn_blocking;

use crate::activation::Activation;
use crate::class::Proxy;
use crate::client::Client;
use crate::{Error, Result};

impl Client {
    /// Connects to the server of a class, as `activate` does.
    #[doc(hidden)]
    pub async fn activate_async<P: Proxy + Send + 'static>(
        activation: Activation,
        clsid: crate::Guid,
    ) -> Result<P> {
        spawn_blocking(move || activation.activate(clsid)).await.map_err(Error::runtime_ended)?
    }

    /// Runs blocking work. Dropping the future cancels its calls.
    #[cfg(windows)]
    pub(crate) async fn in_background<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let cancel = crate::client::cancel::Cancel::new()?;
        let client = self.with_cancel(&cancel);
        let _cancelled = CancelOnDrop(cancel);
        spawn_blocking(move || work(client)).await.map_err(Error::runtime_ended)?
    }
}

/// Cancels the work when the future that waits for it is dropped.
#[cfg(windows)]
struct CancelOnDrop(crate::client::cancel::Cancel);

#[cfg(windows)]
impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
