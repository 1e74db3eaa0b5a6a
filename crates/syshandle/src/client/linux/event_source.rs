//! Replies of a client in an event loop of the program.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use syshandle_os::{Interest, Poller};

use super::connection::ClientConnection;
use super::end_reason::failed;
use super::tasks::Tasks;
use crate::Result;
use crate::client::Client;
use crate::setup::other_process;

/// Source of a client's replies, for an event loop of the program: `epoll`, calloop, GLib. Linux
/// only.
///
/// The event loop waits until the descriptor ([`AsFd`]) is readable, level-triggered, and then calls
/// [`dispatch`](Self::dispatch), which never waits. The descriptor is an epoll instance. It is also
/// readable when the socket has room for calls that wait for it. Afterwards
/// [`PendingCall::is_ready`](super::pending_call::PendingCall::is_ready) says which calls have a
/// result, and the executor of the program polls the awaited ones again. The library creates no
/// thread. `examples/event_loop.rs` is a complete program.
///
/// A call is begun without waiting, and waits for a free slot in the client's queue. Its arguments
/// are encoded at once; a parameter that refers to an object of another server makes a call to that
/// server.
///
/// The source keeps the connection open, as the client does.
pub struct EventSource {
    connection: Arc<ClientConnection>,
    poller: Poller,
    /// What `poller` watches for. Its changes are made under the lock, in their order.
    interest: Mutex<Interest>,
}

impl Client {
    /// Returns the source of this client's replies, for an event loop of the program. Linux only.
    ///
    /// A client that was received as a reference connects first, which may wait. A client whose
    /// server has another version of the interface requests the server's description first.
    /// Therefore not the client but this source has a descriptor.
    ///
    /// # Errors
    /// The errors of connecting; no descriptor is left.
    pub fn event_source(&self) -> Result<EventSource> {
        let connection = self.ready(&mut self.deadline())?.clone();
        let (poller, interest) = (Poller::new().map_err(failed)?, Interest::WhileReadable);
        poller.add(connection.socket().as_fd(), 0, interest).map_err(failed)?;
        connection.with_tasks(Tasks::add_event_loop);
        Ok(EventSource { connection, poller, interest: Mutex::new(interest) })
    }
}

impl EventSource {
    /// Receives the replies that have arrived, and sends queued calls. Never waits.
    ///
    /// Returns the time at which the event loop has to call this function again if the descriptor
    /// isn't readable earlier: the deadline of a call, or the next attempt to send a call. The event
    /// loop asks again after it has begun calls.
    ///
    /// # Errors
    /// The reason why the connection has ended. All calls are ready then, and the event loop has to
    /// stop waiting for the descriptor. [`ErrorKind::OtherProcess`](crate::ErrorKind::OtherProcess)
    /// in a forked copy of the process.
    pub fn dispatch(&self) -> Result<Option<Instant>> {
        if !self.connection.is_of_this_process() {
            return Err(other_process("client"));
        }
        for _ in 0..ROUNDS_MAX {
            let dispatched = self.connection.dispatch();
            self.connection.check_open()?;
            if dispatched.is_empty {
                self.watch_room(dispatched.watch.room)?;
                return Ok(dispatched.watch.next);
            }
        }
        // A server that sends without end must not keep the event loop from other sources.
        Ok(Some(Instant::now()))
    }
}

impl EventSource {
    fn watch_room(&self, watches: bool) -> Result<()> {
        let new = if watches { Interest::WhileBoth } else { Interest::WhileReadable };
        let mut interest = self.interest.lock().unwrap_or_else(PoisonError::into_inner);
        if *interest != new {
            self.poller.change(self.connection.socket().as_fd(), 0, new).map_err(failed)?;
            *interest = new;
        }
        Ok(())
    }
}

impl AsFd for EventSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

impl fmt::Debug for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSource").finish_non_exhaustive()
    }
}

/// Limit of receives in one dispatch. A client has at most 64 replies in flight, four full receives.
const ROUNDS_MAX: usize = 16;
