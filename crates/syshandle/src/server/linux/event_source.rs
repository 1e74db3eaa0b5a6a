//! A server in an event loop of the program.

use std::fmt;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use super::reactor::Threads;
use super::reactor::worker_slot::WorkerSlot;
use super::served_object::ServedObject;
use super::server_control::ServerControl;
use super::{PreparedServer, ServerSettings, SignalWatch, no_server};
use crate::Result;
use crate::server::ServerRef;
use crate::untyped_object::{Object, ServedClass};

/// A server in an event loop of the program: `epoll`, calloop, GLib. Created by
/// [`Server::event_source`](crate::Server::event_source). Linux only.
///
/// The event loop waits until the descriptor ([`AsFd`]) is readable, level-triggered, and then calls
/// [`dispatch`](Self::dispatch). The one descriptor is readable for everything that the server waits
/// for: clients, calls, timers, background tasks, the idle timeout and the end of the server.
/// `examples/server_event_loop.rs` is a complete program.
///
/// # What blocks the event loop
/// All user code of the server runs within `dispatch`: methods, also those with the attribute
/// `#[blocking]`, constructors and destructors of objects, and callbacks of background tasks. While
/// it runs, the event loop does nothing else. Therefore such code must not wait:
///
/// - A method that needs time starts a background task
///   ([`Context::on_signal`](crate::Context::on_signal)), or has another thread do the work.
/// - A method that makes a blocking call to an object which this event loop serves waits for itself
///   until the call times out. The client `…AsyncClient` begins calls without waiting. A method
///   that passes a received reference on makes such a call too.
/// - Frames of a client are received between methods, so a method learns of the deadline of its own
///   call ([`Context::is_cancelled`](crate::Context::is_cancelled)), but not of its cancellation.
///
/// No client can stop the event loop: `dispatch` handles a limited number of frames, and the
/// descriptor stays readable while any are left.
///
/// # Threads
/// The server creates no thread for clients. There are two exceptions for handles: closing a handle
/// that a client sent and no parameter took, because the close may block, and waiting until a client
/// that has disconnected receives the handles of its last replies. After
/// [`direct::prepare`](crate::direct::prepare) there is no such thread, and the event loop does this
/// work itself.
///
/// Dropping the source ends the server at once, as if the drain timeout had passed.
#[must_use = "dropping it ends the server"]
pub struct ServerEventSource {
    server: PreparedServer,
    slot: Arc<WorkerSlot>,
}

impl ServerEventSource {
    pub(crate) fn new(
        classes: Vec<ServedClass>,
        idle: Option<Duration>,
        mut settings: ServerSettings,
    ) -> Result<Self> {
        settings.threads = Threads::Dispatching;
        let server = PreparedServer::new(classes, idle, settings, false)?;
        let slot = server.reactor.dispatching_slot();
        Ok(Self { server, slot })
    }

    /// Handles what is ready: accepts clients, runs methods, and replies. Does not wait.
    ///
    /// Returns [`ControlFlow::Break`] when the server has ended: by its idle timeout, or after
    /// [`ServerRef::shutdown`](crate::serving::ServerRef::shutdown). The event loop must stop waiting
    /// for the descriptor then.
    ///
    /// # Errors
    /// An error of the system, after which the server can't continue.
    /// [`ErrorKind::OtherProcess`](crate::ErrorKind::OtherProcess) in a forked copy of the process.
    pub fn dispatch(&mut self) -> Result<ControlFlow<()>> {
        let reactor = &self.server.reactor;
        ServerControl(reactor.clone()).check_process()?;
        reactor.dispatch(&self.slot).map_err(no_server)?;
        Ok(if reactor.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Returns a reference to the server, which ends the server and reads its statistics.
    pub fn server(&self) -> ServerRef {
        ServerRef::new(ServerControl(self.server.reactor.clone()))
    }

    /// Has `SIGTERM` end the server, as [`Server::run`](crate::Server::run) does. A program that
    /// handles the signal itself calls
    /// [`ServerRef::shutdown`](crate::serving::ServerRef::shutdown) instead.
    ///
    /// # Errors
    /// An error of the system if no descriptor is left.
    pub fn end_on_sigterm(&mut self) -> Result<()> {
        if self.server.signal.is_none() {
            self.server.signal = Some(SignalWatch::new(&self.server.reactor)?);
        }
        Ok(())
    }

    /// Serves an object in this event loop.
    pub(crate) fn serve_object(&self, object: Object) -> Result<ServedObject> {
        ServedObject::in_server(&self.server.reactor, object)
    }
}

impl AsFd for ServerEventSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.server.reactor.descriptor()
    }
}

impl Drop for ServerEventSource {
    fn drop(&mut self) {
        let reactor = &self.server.reactor;
        if reactor.is_own() && !reactor.is_stopped() {
            reactor.end_now(&self.slot);
        }
    }
}

impl fmt::Debug for ServerEventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerEventSource").finish_non_exhaustive()
    }
}
