//! Activation: connects to the running server of a class, or starts it.
//!
//! The first client takes the registration's lock, makes the listening socket, starts the program
//! and passes it the socket. From then on all other clients queue on that socket, and none of them
//! needs to ask whether the server is ready. A client sends no call before it is greeted. So a
//! client that is not greeted may start again without losing or repeating a call.

mod confinement;
pub(crate) mod connect;
mod lookup;
mod protocol;
mod start;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use syshandle_registry::Registry;
use syshandle_types::Guid;
use syshandle_wire::Hello;

use self::lookup::ServerLocation;
use self::start::Start;
use crate::class::{Interface, Proxy};
use crate::client::Client;
use crate::client::connection::ClientConnection;
use crate::{ErrorKind, Result};

/// Activates classes with options: another registry or another timeout.
#[derive(Clone, Debug)]
pub struct Activation {
    registry: Registry,
    timeout: Duration,
}

impl Activation {
    /// Default timeout of an activation.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// Makes an activation with the default settings: the registry that the environment names
    /// and [`Self::TIMEOUT`].
    pub fn new() -> Self {
        Self { registry: Registry::from_environment(), timeout: Self::TIMEOUT }
    }

    /// Sets the registry.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Sets the timeout of an activation.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Connects to the running server of a class, or starts it, and returns a client.
    ///
    /// # Errors
    /// Each obstacle has its own [`ErrorKind`](crate::ErrorKind). No call has run.
    pub fn activate<P: Proxy>(&self, clsid: Guid) -> Result<P> {
        let interface = P::Interface::DESCRIPTION;
        let _entered =
            crate::log::debug_span!("activate", class = %clsid, interface = interface.name);
        let now = Instant::now();
        let deadline = now.checked_add(self.timeout).unwrap_or(now + Self::TIMEOUT);
        let connection = self.connect_or_start(Hello { clsid, iid: interface.iid }, deadline)?;
        Ok(P::from_client(Client::connected(connection, interface)))
    }

    fn connect_or_start(&self, hello: Hello, deadline: Instant) -> Result<ClientConnection> {
        if let Some(lookup) = lookup::recall(&self.registry, hello.clsid)
            && let ServerLocation::Runtime(paths) = &lookup.server
            && let Ok(connection) = connect::reach(&lookup, paths, hello, deadline)
        {
            return Ok(connection);
        }
        let lookup = lookup::find(&self.registry, hello.clsid)?;
        let Some(distrust) = &lookup.distrust else {
            return match &lookup.server {
                ServerLocation::External(socket) => {
                    connect::connect_elsewhere(socket, hello, deadline)
                }
                ServerLocation::Runtime(paths) => {
                    Start::new(&lookup.file, paths, &self.registry, hello, deadline).run()
                }
            };
        };
        let reached = match &lookup.server {
            ServerLocation::External(socket) => {
                connect::reach_elsewhere(&lookup, socket, hello, deadline)
            }
            ServerLocation::Runtime(paths) => connect::reach(&lookup, paths, hello, deadline),
        };
        reached.map_err(|error| match error.kind() {
            // A server is running there, and this is its answer.
            ErrorKind::NotAllowed | ErrorKind::NoSuchClass | ErrorKind::NoSuchInterface => error,
            _ => distrust.of_another_call().because(error),
        })
    }
}

impl Default for Activation {
    fn default() -> Self {
        Self::new()
    }
}
