//! Activation: connects to the server of a class, and starts the server if it isn't running.

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        mod windows;

        use windows as platform;
    } else {
        pub(crate) mod linux;

        use linux as platform;
    }
}

use std::time::{Duration, Instant};

#[cfg(not(windows))]
use syshandle_registry::Registry;
use syshandle_types::Guid;

use crate::Result;
use crate::class::{Class, ClassInfo, Interface, Proxy};
#[cfg(all(feature = "tokio", not(windows)))]
use crate::wait_mode::WaitMode;

/// Connects to the server of a class, and starts the server if it isn't running. This function does
/// the same as `activate` of a generated client, for code that is generic over the interface.
///
/// # Errors
/// See [`Activation`], which also offers other options.
pub fn activate<P: Proxy, C: ClassInfo>(class: Class<C>) -> Result<P> {
    Activation::new().activate(class.clsid())
}

/// Activates classes with options: another timeout, or on Linux another registry.
#[derive(Clone, Debug)]
pub struct Activation {
    timeout: Duration,
    #[cfg(not(windows))]
    registry: Registry,
}

impl Activation {
    /// Default timeout of an activation.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// Makes an activation with the default settings: [`Self::TIMEOUT`], and on Linux the registry
    /// that the environment names.
    pub fn new() -> Self {
        Self {
            timeout: Self::TIMEOUT,
            #[cfg(not(windows))]
            registry: Registry::from_environment(),
        }
    }

    /// Sets the timeout of an activation.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Connects to the running server of a class, or starts it, and returns a client. On Windows
    /// COM does both.
    ///
    /// # Errors
    /// Each cause has its own [`ErrorKind`](crate::ErrorKind). No call has run.
    pub fn activate<P: Proxy>(&self, clsid: Guid) -> Result<P> {
        let interface = P::Interface::DESCRIPTION;
        let _entered =
            crate::log::debug_span!("activate", class = %clsid, interface = interface.name);
        Ok(P::from_client(platform::connect(self, clsid, interface, self.deadline())?))
    }

    fn deadline(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.timeout).unwrap_or(now + Self::TIMEOUT)
    }
}

#[cfg(all(feature = "tokio", not(windows)))]
impl Activation {
    /// Connects in a task, as [`Self::activate`] does in a thread.
    pub(crate) async fn activate_in_task<P: Proxy>(&self, clsid: Guid) -> Result<P> {
        let interface = P::Interface::DESCRIPTION;
        let span = crate::log::debug_span!("activate", class = %clsid, interface = interface.name);
        let deadline = self.deadline();
        let mode = WaitMode::Task;
        let connecting = platform::connect_by(mode, self, clsid, interface, deadline);
        Ok(P::from_client(span.around(connecting).await?))
    }
}

#[cfg(not(windows))]
impl Activation {
    /// Sets the registry. Linux only: on Windows the registry of the system names the servers.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }
}

#[cfg(not(windows))]
impl Activation {
    /// Connects with this hello.
    pub(crate) fn connect(
        &self,
        hello: syshandle_wire::Hello,
    ) -> Result<crate::client::linux::connection::ClientConnection> {
        let now = Instant::now();
        let deadline = now.checked_add(self.timeout).unwrap_or(now + Self::TIMEOUT);
        platform::connect_with(self, hello, deadline)
    }
}

impl Default for Activation {
    fn default() -> Self {
        Self::new()
    }
}
