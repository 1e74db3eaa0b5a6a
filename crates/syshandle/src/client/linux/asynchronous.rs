//! Driver of a connection in a tokio runtime.
//!
//! The driver is a task that waits until the socket is readable, and then dispatches. It owns no
//! reference to the connection while it waits. When its runtime ends, it wakes the tasks that wait
//! on the connection, so that tasks of other runtimes start a driver there.

use std::future::Future;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use syshandle_os::asynchronous::WatchedFd;
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep_until};

use super::connection::ClientConnection;
use super::end_reason::failed;
use super::tasks::RuntimeId;
use crate::Result;
use crate::sync::now;

/// Task that drives a connection in one runtime.
struct Driver {
    connection: Weak<ClientConnection>,
    runtime: RuntimeId,
    socket: WatchedFd,
    /// Set while queued calls wait for room in the socket. The kernel reports room only to this
    /// registration, so that a client whose calls find room is not woken for it.
    room: Option<WatchedFd>,
    timer: Pin<Box<Sleep>>,
}

/// Starts a driver in the current runtime, unless the runtime has one for this connection. Returns
/// `false` outside of a runtime.
pub(super) fn start_driver(connection: &Arc<ClientConnection>) -> Result<bool> {
    let Ok(handle) = Handle::try_current() else { return Ok(false) };
    let runtime = handle.id();
    if connection.with_tasks(|tasks| tasks.has_driver(runtime)) {
        return Ok(true);
    }
    let socket = WatchedFd::to_read(connection.socket().as_fd()).map_err(failed)?;
    let timer = Box::pin(sleep_until(now().into()));
    if connection.with_tasks(|tasks| tasks.add_driver(runtime)) {
        let connection = Arc::downgrade(connection);
        drop(handle.spawn(Driver { connection, runtime, socket, room: None, timer }));
    }
    Ok(true)
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { connection, runtime, socket, room, timer } = &mut *self;
        let Some(connection) = connection.upgrade() else { return Poll::Ready(()) };
        let is_called = |waker| connection.with_tasks(|tasks| tasks.take_call(*runtime, waker));
        loop {
            let mut dispatched = None;
            let readable =
                socket.poll_readable(context, || dispatched.insert(connection.dispatch()).is_empty);
            if let Poll::Ready(Err(_)) = readable {
                // The runtime shuts down.
                return Poll::Ready(());
            }
            if dispatched.is_none() {
                let has_room = room.take_if(|room| room.poll_writable(context).is_ready());
                let is_called = is_called(context.waker());
                if has_room.is_some() || is_called || timer.as_mut().poll(context).is_ready() {
                    dispatched = Some(connection.dispatch());
                }
            }
            let Some(dispatched) = dispatched else { return Poll::Pending };
            let watch = dispatched.watch;
            if connection.has_ended() {
                return Poll::Ready(());
            }
            match (watch.room, &room) {
                // Without a descriptor for it, room is noticed when the timer ends.
                (true, None) => *room = WatchedFd::to_write(connection.socket().as_fd()).ok(),
                (true, Some(_)) => {}
                (false, _) => *room = None,
            }
            let next = watch.next.unwrap_or_else(|| now() + FAR);
            timer.as_mut().reset(next.into());
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.upgrade() {
            connection.with_tasks(|tasks| tasks.remove_driver(self.runtime));
        }
    }
}

/// Time of a timer that isn't needed.
const FAR: Duration = Duration::from_secs(24 * 3600);
