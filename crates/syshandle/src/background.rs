//! Asynchronous activation, and on Windows blocking work for tasks of a tokio runtime.
//!
//! COM makes a call on the thread that waits for it. So on Windows a thread of the runtime's pool
//! for blocking work makes each asynchronous call, and the task only waits for that thread. Dropping
//! the future cancels the call, which frees the thread at once.

use crate::Result;
use crate::activation::Activation;
use crate::class::Proxy;
use crate::client::Client;

impl Client {
    /// Connects to the server of a class, as `activate` does.
    #[doc(hidden)]
    pub async fn activate_async<P: Proxy + Send + 'static>(
        activation: Activation,
        clsid: crate::Guid,
    ) -> Result<P> {
        #[cfg(not(windows))]
        return activation.activate_in_task(clsid).await;
        #[cfg(windows)]
        run(move || activation.activate(clsid)).await?
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
        run(move || work(client)).await?
    }
}

#[cfg(windows)]
async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(crate::Error::runtime_ended)
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
