//! Getting a client for a class: finds the server that runs, or starts it.
//!
//! The first client takes the registration's lock, makes the listening socket, starts the program
//! and hands the socket over: from that moment all others queue on it, and nobody asks whether the
//! server is ready. A client has sent nothing before it is greeted, so one that isn't may begin
//! again without a call lost or made twice.

mod confinement;
mod connect;
pub(crate) mod lifetime;
mod registration;
mod registry;
mod runtime;
mod start;
mod trust;

use std::time::{Duration, Instant};

use syshandle_os::uptime;
use syshandle_wire::{Guid, Hello};

pub use registration::{RegisteredClass, Registration};
pub use registry::{Locations, Registered};
pub use runtime::{Lock, Meeting};

use self::connect::Connected;
use self::start::Start;
use crate::client::connection::Connection;
use crate::{Client, Error, ErrorKind, Interface, Proxy, Result};

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
    /// Whatever stands in the way, each by its own [`ErrorKind`]. The call did not run.
    pub fn activate<P: Proxy>(&self, clsid: Guid) -> Result<P> {
        let interface = P::Interface::DESCRIPTION;
        let span = tracing::debug_span!("activate", class = %clsid, interface = interface.name);
        let _entered = span.enter();
        let now = Instant::now();
        let deadline = now.checked_add(self.timeout).unwrap_or(now + Self::TIMEOUT);
        let connection = self.connect_or_start(Hello { clsid, iid: interface.iid }, deadline)?;
        Ok(P::from_client(Client::connected(connection, interface)))
    }

    fn connect_or_start(&self, hello: Hello, deadline: Instant) -> Result<Connection> {
        let registered = self.locations.find(hello.clsid)?;
        if let Some(socket) = &registered.registration.socket {
            return connect::connect_elsewhere(socket, hello, deadline);
        }
        let meeting = Meeting::of(&registered, &self.locations)?;
        let start = Start { registered, locations: &self.locations, meeting, hello, deadline };
        let began = uptime();
        let mut pause = Duration::from_millis(1);
        let mut locked_out = false;
        loop {
            let nobody = match start.connect()? {
                Connected::Greeted(connection) => return Ok(*connection),
                Connected::Nobody(error) => error,
                Connected::Hangs(_) => Error::new(ErrorKind::TimedOut, "the server hangs"),
            };
            if Instant::now() >= deadline {
                let text = match locked_out {
                    true => format!(
                        "no server could be reached in time: another process, which has {} locked, \
                         didn't start it",
                        start.meeting.lock.display()
                    ),
                    false => "no server could be reached in time".to_owned(),
                };
                return Err(Error::new(ErrorKind::TimedOut, text).because(nobody));
            }
            if let Some(lock) = start.meeting.try_lock()? {
                return start.start(&lock, began);
            }
            locked_out = true;
            // Somebody else is starting the server, or it is just ending: the socket will tell.
            std::thread::sleep(pause.min(deadline.saturating_duration_since(Instant::now())));
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

impl Default for Activation {
    fn default() -> Self {
        Self::new()
    }
}
