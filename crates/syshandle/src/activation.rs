//! Getting a client for a class: finds the server that runs, or starts it.
//!
//! The first client takes the registration's lock, makes the listening socket, starts the program
//! and hands the socket over: from that moment all others queue on it, and nobody asks whether the
//! server is ready. A client has sent nothing before it is greeted, so one that isn't may begin
//! again without a call lost or made twice.

mod confinement;
pub(crate) mod lifetime;
mod registration;
mod registry;
mod runtime;
mod start;
mod trust;

use std::io;
use std::time::{Duration, Instant, SystemTime};

use syshandle_os::Seqpacket;
use syshandle_wire::{Guid, Hello};

pub use registration::{RegisteredClass, Registration};
pub use registry::{Locations, Registered};
pub use runtime::{Lock, Meeting};

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
        let meeting = Meeting::of(&registered, &self.locations)?;
        let began = SystemTime::now();
        let mut pause = Duration::from_millis(1);
        loop {
            let missing = match connect(&meeting, hello, deadline)? {
                Connected::Greeted(connection) => return Ok(*connection),
                Connected::Nobody(error) => error,
            };
            if registered.registration.socket.is_some() {
                let text = format!(
                    "nobody serves at {}, and this client doesn't start the server: whoever made \
                     the registration does (`systemctl --user start` for systemd)",
                    meeting.socket.display()
                );
                return Err(Error::new(ErrorKind::StartFailed, text).because(missing));
            }
            if Instant::now() >= deadline {
                let text = "no server could be reached in time";
                return Err(Error::new(ErrorKind::TimedOut, text).because(missing));
            }
            if let Some(lock) = meeting.try_lock()? {
                return start::start(&registered, &self.locations, &meeting, &lock, hello, began, deadline);
            }
            // Somebody else is starting the server, or it is just ending: the socket will tell.
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}

impl Default for Activation {
    fn default() -> Self {
        Self::new()
    }
}

/// What came of trying to connect.
enum Connected {
    Greeted(Box<Connection>),
    /// Nobody serves there now, as this error shows.
    Nobody(Error),
}

/// Connects to the server that runs, if one does.
fn connect(meeting: &Meeting, hello: Hello, deadline: Instant) -> Result<Connected> {
    let socket = match Seqpacket::connect(&meeting.socket, deadline) {
        Ok(socket) => socket,
        Err(error) => {
            let kind = error.kind();
            let error = Error::new(
                ErrorKind::Disconnected,
                format!("nobody listens at {}", meeting.socket.display()),
            )
            .because(error);
            return match kind {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    Ok(Connected::Nobody(error))
                }
                io::ErrorKind::PermissionDenied => {
                    let text = "this process may not connect to the server";
                    Err(Error::new(ErrorKind::ActivationDenied, text).because(error))
                }
                io::ErrorKind::TimedOut => {
                    let text = "the server doesn't let clients in: its queue is full";
                    Err(Error::new(ErrorKind::TimedOut, text).because(error))
                }
                _ => Err(error),
            };
        }
    };
    match Connection::open(socket, hello, deadline) {
        Ok(connection) => Ok(Connected::Greeted(Box::new(connection))),
        Err(error) if error.kind() == ErrorKind::Disconnected => Ok(Connected::Nobody(error)),
        Err(error) => Err(error),
    }
}
