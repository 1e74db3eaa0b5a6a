//! Waits for objects that the server signals. A wait ends as soon as the server has ended.

use syshandle_os::{WaitOutcome, Waitable, try_take};

use super::connection::ClientConnection;
use super::deadline::Deadline;
use super::end_reason::{LAST_WORDS, failed};
use crate::client::cancel::Cancel;
use crate::sync::{now, wait_until};
use crate::{Error, ErrorKind, Result};

/// Waits in a thread.
pub(super) fn wait_in_thread(
    connection: &ClientConnection,
    object: &dyn Waitable,
    deadline: &mut Deadline<'_>,
) -> Result<()> {
    let mut spin_wait = connection.object_spin().start(connection.peer_core());
    while spin_wait.again() {
        if try_take(object).map_err(failed)? {
            spin_wait.hit();
            return Ok(());
        }
    }
    let cancel = deadline.cancel.map(Cancel::event);
    let waited = loop {
        let until = connection.next_check(deadline.instant);
        let socket = connection.socket();
        let waited = wait_until(until, |until| socket.wait_beside(object, cancel, until));
        match waited.map_err(failed)? {
            WaitOutcome::TimedOut if connection.server_has_died() => {
                // The server may have signalled the object before it ended.
                if try_take(object).map_err(failed)? {
                    return Ok(());
                }
                break WaitOutcome::PeerGone;
            }
            WaitOutcome::TimedOut if now() < deadline.instant => {}
            waited => break waited,
        }
    };
    match waited {
        WaitOutcome::Taken => Ok(()),
        WaitOutcome::TimedOut => Err(timed_out()),
        WaitOutcome::Cancelled => Err(cancelled()),
        WaitOutcome::PeerGone => {
            deadline.look();
            let mut moment = Deadline::lasting(deadline.left().min(LAST_WORDS), None);
            Err(connection.end_error(&mut moment))
        }
    }
}

/// Waits in a task.
#[cfg(feature = "tokio")]
pub(super) async fn wait_in_task(
    connection: &std::sync::Arc<ClientConnection>,
    object: &(impl Waitable + Sync),
    deadline: Deadline<'_>,
) -> Result<()> {
    use std::future::{pending, poll_fn};
    use std::task::Poll;

    use syshandle_os::asynchronous::wait;

    let waiter = EndWaiter { connection, number: connection.add_task() };
    let ended = poll_fn(|context| match connection.poll_end(waiter.number, context) {
        Poll::Pending => match super::asynchronous::start_driver(connection) {
            Ok(_) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        },
        ended => ended,
    });
    let cancel = async {
        match deadline.cancel.map(Cancel::event) {
            Some(event) => wait(event).await,
            None => pending().await,
        }
    };
    let not_waited = |error| {
        let text = "the object can't be waited for";
        Error::detected(ErrorKind::System, text).because(error).of_no_call()
    };
    tokio::select! {
        biased;
        taken = wait(object) => taken.map_err(not_waited),
        // The server may have signalled the object before it ended.
        ended = ended => match try_take(object).map_err(not_waited)? {
            true => Ok(()),
            false => Err(ended),
        },
        cancel = cancel => Err(cancel.map_or_else(not_waited, |()| cancelled())),
        () = tokio::time::sleep_until(deadline.instant.into()) => Err(timed_out()),
    }
}

/// Waiter for the end of a connection.
#[cfg(feature = "tokio")]
struct EndWaiter<'c> {
    connection: &'c ClientConnection,
    number: u64,
}

#[cfg(feature = "tokio")]
impl Drop for EndWaiter<'_> {
    fn drop(&mut self) {
        self.connection.remove_task(self.number);
    }
}

fn timed_out() -> Error {
    Error::detected(ErrorKind::TimedOut, "timed out waiting for the object").of_no_call()
}

fn cancelled() -> Error {
    Error::detected(ErrorKind::Cancelled, "the wait was cancelled").of_no_call()
}
