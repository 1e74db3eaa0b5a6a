//! Getting a client for a class: finds the server that runs, or starts it.
//!
//! The first client takes the registration's lock, makes the listening socket, starts the program
//! and hands the socket over: from that moment all others queue on it, and nobody asks whether the
//! server is ready. A client has sent nothing before it is greeted, so one that isn't may begin
//! again without a call lost or made twice.

mod confinement;
pub(crate) mod connect;
mod known;
pub(crate) mod lifetime;
#[cfg(test)]
mod model;
pub(crate) mod protocol;
mod registration;
mod registry;
mod runtime;
mod start;
mod trust;

use std::time::{Duration, Instant};

use syshandle_wire::{Guid, Hello};

pub use registration::{RegisteredClass, Registration};
pub use registry::{Locations, Registered};
pub use runtime::{Lock, Meeting};

use self::known::Met;
use self::start::Start;
use crate::client::connection::Connection;
use crate::{Client, ErrorKind, Interface, Proxy, Result};

/// How to activate a class, where the usual way won't do.
#[derive(Clone, Debug)]
pub struct Activation {
    locations: Locations,
    timeout: Duration,
}

impl Activation {
    /// How long an activation takes at the most, unless it is told otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// The usual way: the folders of the environment, the usual timeout.
    pub fn new() -> Self {
        Self { locations: Locations::from_environment(), timeout: Self::TIMEOUT }
    }

    /// The same with other folders.
    #[must_use]
    pub fn locations(mut self, locations: Locations) -> Self {
        self.locations = locations;
        self
    }

    /// The same with another timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Gets a client for a class: connects to the server that runs, or starts it.
    ///
    /// # Errors
    /// Whatever stands in the way, each by its own [`ErrorKind`](crate::ErrorKind). The call did not run.
    pub fn activate<P: Proxy>(&self, clsid: Guid) -> Result<P> {
        let interface = P::Interface::DESCRIPTION;
        let _entered =
            crate::log::debug_span!("activate", class = %clsid, interface = interface.name);
        let now = Instant::now();
        let deadline = now.checked_add(self.timeout).unwrap_or(now + Self::TIMEOUT);
        let connection = self.connect_or_start(Hello { clsid, iid: interface.iid }, deadline)?;
        Ok(P::from_client(Client::connected(connection, interface)))
    }

    fn connect_or_start(&self, hello: Hello, deadline: Instant) -> Result<Connection> {
        if let Some(known) = known::recall(&self.locations, hello.clsid)
            && let Met::Here(meeting) = &known.server
            && let Ok(connection) = connect::reach(&known, meeting, hello, deadline)
        {
            return Ok(connection);
        }
        let known = known::find(&self.locations, hello.clsid)?;
        let Some(distrust) = &known.distrust else {
            return match &known.server {
                Met::Elsewhere(socket) => connect::connect_elsewhere(socket, hello, deadline),
                Met::Here(meeting) => {
                    Start::new(&known.registered, meeting, &self.locations, hello, deadline).run()
                }
            };
        };
        let reached = match &known.server {
            Met::Elsewhere(socket) => connect::reach_elsewhere(&known, socket, hello, deadline),
            Met::Here(meeting) => connect::reach(&known, meeting, hello, deadline),
        };
        reached.map_err(|error| match error.kind() {
            // Somebody serves there, and this is the answer.
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
