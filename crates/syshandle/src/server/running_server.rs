//! A running server: its end, and its statistics.

use std::thread::JoinHandle;

use super::context::Context;
use super::stats::ServerStats;
use super::system::server_control::ServerControl;
use crate::{Error, Result};

/// A running server, which [`Server::start`](crate::Server::start) returns.
///
/// Dropping it begins the end of the server, as [`shutdown`](Self::shutdown) does, and does not
/// wait. To let the server run until its idle timeout, call [`join`](Self::join), or keep the value.
///
/// ```no_run
/// # use syshandle::{class, interface, Result, Server};
/// # #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
/// # trait Greeter { fn greet(&self) -> Result<String>; }
/// # class! { GREETER: Greeter = "ea27c73a-48c2-4714-9d20-a9d2c4f6aed3"; }
/// # #[derive(Default)]
/// # struct Hello;
/// # impl Greeter for Hello { fn greet(&self) -> Result<String> { Ok("hello".into()) } }
/// # fn main() -> Result<()> {
/// let server = Server::new().class(GREETER, Hello::default).start()?;
/// // The program does other work.
/// println!("{} clients", server.stats().clients);
/// server.shutdown();
/// server.join()
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it ends the server"]
pub struct RunningServer {
    server: ServerRef,
    /// The thread that ends with the server; `None` when joined.
    thread: Option<JoinHandle<Result<()>>>,
}

/// A reference to a running server, which ends the server and reads its statistics. It may be
/// cloned, and used on any thread.
///
/// The reference does not keep the server running. It keeps the server's counters, and the values
/// that the functions of [`Server::class`](crate::Server::class) captured.
#[derive(Clone, Debug)]
pub struct ServerRef(ServerControl);

impl RunningServer {
    pub(super) fn new(control: ServerControl, thread: JoinHandle<Result<()>>) -> Self {
        Self { server: ServerRef(control), thread: Some(thread) }
    }

    /// Returns a reference to the server, for instance for another thread that ends the server.
    pub fn server(&self) -> ServerRef {
        self.server.clone()
    }

    /// Begins the orderly end of the server and returns at once: see [`ServerRef::shutdown`].
    pub fn shutdown(&self) {
        self.server.shutdown();
    }

    /// Returns the statistics of the server.
    pub fn stats(&self) -> ServerStats {
        self.server.stats()
    }

    /// Waits until the server has ended, which it does after [`shutdown`](Self::shutdown) or its
    /// idle timeout.
    ///
    /// After `shutdown`, this takes at most the drain timeout and three seconds, also if methods,
    /// tasks or destructors block forever. Threads that they block continue until the process ends.
    /// Without `shutdown`, the wait has no limit. A method of this server that calls `join` waits
    /// for itself, until the drain timeout ends the wait.
    ///
    /// # Errors
    /// An error of the system that ended the server early.
    /// [`ErrorKind::OtherProcess`](crate::ErrorKind::OtherProcess) in a forked copy of the server's
    /// process.
    pub fn join(mut self) -> Result<()> {
        self.server.0.check_process()?;
        let Some(thread) = self.thread.take() else { return Ok(()) };
        join(thread)
    }
}

/// Waits until the server of a thread has ended.
pub(super) fn join(thread: JoinHandle<Result<()>>) -> Result<()> {
    thread.join().unwrap_or_else(|_| Err(Error::failed("the server panicked")))
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.shutdown();
        }
    }
}

impl Context {
    /// Returns a reference to the server of this call, which reads its statistics or ends it. An
    /// object that [`in_process`](crate::in_process()) made has a server of its own.
    pub fn server(&self) -> ServerRef {
        ServerRef(ServerControl::of(&self.0))
    }
}

impl ServerRef {
    #[cfg(not(windows))]
    pub(super) fn new(control: ServerControl) -> Self {
        Self(control)
    }

    /// Begins the orderly end of the server and returns at once. Further calls have no effect.
    ///
    /// The documentation of [`Server::drain_timeout`](crate::Server::drain_timeout) lists the steps
    /// of the end. The server of an object that [`in_process`](crate::in_process()) made has no
    /// drain timeout.
    ///
    /// In a forked copy of the server's process, `shutdown` does nothing.
    pub fn shutdown(&self) {
        self.0.shut_down();
    }

    /// Returns the statistics of the server. After the end of the server they no longer change.
    pub fn stats(&self) -> ServerStats {
        self.0.stats()
    }
}
