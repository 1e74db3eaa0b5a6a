//! Driver of a connection in a tokio runtime.
//!
//! The driver is a task that waits until the socket is readable, and then dispatches. It owns no
//! reference to the connection while it waits. When its runtime ends, it wakes the tasks that wait
//! on the connection, so that tasks of other runtimes start a driver there.

use std::future::{Future, pending, poll_fn};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use syshandle_os::asynchronous::{self, ReadableFd};
use syshandle_os::{Waitable, try_take};
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep_until};

use super::connection::{ClientConnection, wait_cancelled, wait_timed_out};
use super::deadline::Deadline;
use super::drivers::RuntimeId;
use super::end_reason::failed;
use crate::client::cancel::Cancel;
use crate::sync::now;
use crate::{Error, ErrorKind, Result};

/// Task that drives a connection in one runtime.
struct Driver {
    connection: Weak<ClientConnection>,
    runtime: RuntimeId,
    socket: ReadableFd,
    timer: Pin<Box<Sleep>>,
}

/// Starts a driver in the current runtime, unless the runtime has one for this connection. Returns
/// `false` outside of a runtime.
pub(super) fn start_driver(connection: &Arc<ClientConnection>) -> Result<bool> {
    let Ok(handle) = Handle::try_current() else { return Ok(false) };
    let runtime = handle.id();
    if connection.with_drivers(|drivers| drivers.has(runtime)) {
        return Ok(true);
    }
    let socket = ReadableFd::new(connection.socket().as_fd()).map_err(failed)?;
    let timer = Box::pin(sleep_until(now().into()));
    if connection.with_drivers(|drivers| drivers.add(runtime)) {
        let connection = Arc::downgrade(connection);
        drop(handle.spawn(Driver { connection, runtime, socket, timer }));
    }
    Ok(true)
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { connection, runtime, socket, timer } = &mut *self;
        let Some(connection) = connection.upgrade() else { return Poll::Ready(()) };
        let is_called =
            |waker| connection.with_drivers(|drivers| drivers.take_call(*runtime, waker));
        loop {
            let mut dispatched = None;
            let readable =
                socket.poll_readable(context, || dispatched.insert(connection.dispatch()).is_empty);
            if let Poll::Ready(Err(_)) = readable {
                // The runtime shuts down.
                return Poll::Ready(());
            }
            if dispatched.is_none() && is_called(context.waker()) {
                dispatched = Some(connection.dispatch());
            }
            if dispatched.is_none() && timer.as_mut().poll(context).is_ready() {
                dispatched = Some(connection.dispatch());
            }
            let Some(dispatched) = dispatched else { return Poll::Pending };
            if connection.has_ended() {
                return Poll::Ready(());
            }
            let next = dispatched.next.unwrap_or_else(|| now() + FAR);
            timer.as_mut().reset(next.into());
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.upgrade() {
            connection.with_drivers(|drivers| drivers.remove(self.runtime));
            connection.wake_tasks();
        }
    }
}

/// Waits for an object that the server signals, like [`ClientConnection::wait_for`], in a task.
pub(super) async fn wait_for(
    connection: &Arc<ClientConnection>,
    object: &(impl Waitable + Sync),
    deadline: Deadline<'_>,
) -> Result<()> {
    let waiter = EndWaiter { connection, number: connection.add_task() };
    let ended = poll_fn(|context| match connection.poll_end(waiter.number, context) {
        Poll::Pending => match start_driver(connection) {
            Ok(_) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        },
        ended => ended,
    });
    let cancelled = async {
        match deadline.cancel.map(Cancel::event) {
            Some(event) => asynchronous::wait(event).await,
            None => pending().await,
        }
    };
    let not_waited = |error| {
        let text = "the object can't be waited for";
        Error::detected(ErrorKind::System, text).because(error).of_no_call()
    };
    tokio::select! {
        biased;
        taken = asynchronous::wait(object) => taken.map_err(not_waited),
        // The server may have signalled the object before it ended.
        ended = ended => match try_take(object).map_err(not_waited)? {
            true => Ok(()),
            false => Err(ended),
        },
        cancelled = cancelled => Err(cancelled.map_or_else(not_waited, |()| wait_cancelled())),
        () = sleep_until(deadline.instant.into()) => Err(wait_timed_out()),
    }
}

/// Waiter for the end of a connection.
struct EndWaiter<'c> {
    connection: &'c ClientConnection,
    number: u64,
}

impl Drop for EndWaiter<'_> {
    fn drop(&mut self) {
        self.connection.remove_task(self.number);
    }
}

/// Time of a timer that isn't needed.
const FAR: Duration = Duration::from_secs(24 * 3600);
