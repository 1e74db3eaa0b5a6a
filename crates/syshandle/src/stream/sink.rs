//! The end of a stream that writes.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use syshandle_types::Encode;

use super::pair::{End, Pair, is_passing};
use crate::{Error, ErrorKind, Result, limits};

/// The end of a stream that writes the items. [`channel`](super::channel) makes it.
///
/// Any thread or task may send, and several at once. Share the sink by reference or in an `Arc`.
///
/// End a stream with [`finish`](Self::finish). If the sink is dropped without it, the reader gets an
/// error, because a thread that fails early would otherwise look like one that has sent everything.
pub struct Sink<T> {
    pair: Arc<Pair<T>>,
    timeout: Option<Duration>,
}

impl<T> Sink<T> {
    pub(super) fn new(pair: Arc<Pair<T>>) -> Self {
        Self { pair, timeout: None }
    }

    /// Sets the maximum time of a wait for the reader. The default is the timeout of the client's
    /// call that passes the stream; in a server it is 30 seconds.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    /// Ends the stream. The reader gets the items that were sent, and then the end.
    ///
    /// # Errors
    /// The errors of [`Sink::send`], if nobody reads any more.
    pub fn finish(&self) -> Result<()> {
        self.pair.end(End::Finished)
    }

    /// Ends the stream with an error. The reader gets the items that were sent, and then the error,
    /// as the caller of a method that returns it: see [`Error::new`].
    ///
    /// # Errors
    /// The errors of [`Sink::send`], if nobody reads any more.
    pub fn fail(&self, error: Error) -> Result<()> {
        self.pair.end(End::Failed(error))
    }

    fn deadline(&self) -> Instant {
        let timeout = self.timeout.unwrap_or_else(|| self.pair.timeout());
        limits::deadline(Instant::now(), timeout)
    }
}

impl<T: Encode + Send + 'static> Sink<T> {
    /// Sends an item. Waits while the reader has not taken enough of the earlier items.
    ///
    /// # Errors
    /// - [`ErrorKind::TimedOut`] if the reader took no item for the [timeout](Self::set_timeout), or
    ///   if the stream was neither passed nor read. The stream continues.
    /// - [`ErrorKind::Cancelled`] if the reader has dropped its stream, or the message with the
    ///   stream was not sent.
    /// - [`ErrorKind::Disconnected`] if the other process has ended.
    /// - [`ErrorKind::TooLarge`] and other errors of an item that can't be sent. The stream
    ///   continues without the item.
    pub fn send(&self, item: T) -> Result<()> {
        self.pair.send(item, self.deadline())
    }

    /// Sends an item, and waits at most for this time.
    ///
    /// # Errors
    /// The errors of [`Sink::send`].
    pub fn send_timeout(&self, item: T, timeout: Duration) -> Result<()> {
        self.pair.send(item, limits::deadline(Instant::now(), timeout))
    }

    /// Sends an item if that needs no wait.
    ///
    /// # Errors
    /// [`TrySendError::Full`] with the item if that needs a wait, or an error of [`Sink::send`].
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let mut item = Some(item);
        let mut context = Context::from_waker(Waker::noop());
        match (self.pair.poll_send(&mut item, Instant::now(), &mut context), item) {
            (Poll::Ready(Ok(())), _) | (Poll::Pending, None) => Ok(()),
            (Poll::Ready(Err(error)), Some(item)) if is_passing(&error) => {
                Err(TrySendError::Full(item))
            }
            (Poll::Ready(Err(error)), _) => Err(TrySendError::Failed(error)),
            (Poll::Pending, Some(item)) => Err(TrySendError::Full(item)),
        }
    }

    /// Sends an item from a task of a tokio runtime that has time enabled. Otherwise like
    /// [`Sink::send`].
    ///
    /// A dropped future has sent its item or not.
    ///
    /// # Errors
    /// The errors of [`Sink::send`].
    #[cfg(feature = "tokio")]
    pub async fn send_async(&self, item: T) -> Result<()> {
        let (mut item, until) = (Some(item), self.deadline());
        loop {
            let sent =
                std::future::poll_fn(|context| self.pair.poll_send(&mut item, until, context));
            match tokio::time::timeout_at(until.into(), sent).await {
                // No event reports that the peer has received the handles in flight.
                Ok(Err(error)) if is_passing(&error) && Instant::now() < until => {
                    tokio::time::sleep(IN_FLIGHT_RETRY).await;
                }
                Ok(sent) => return sent,
                Err(_) => return Err(super::pair::no_room()),
            }
        }
    }
}

impl<T> Drop for Sink<T> {
    fn drop(&mut self) {
        let error = Error::new(
            ErrorKind::Failed,
            "the sink was dropped before `finish`: the stream may be incomplete",
        );
        // Without a reader nobody needs the error.
        let _ = self.pair.end(End::Failed(error));
    }
}

impl<T> fmt::Debug for Sink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

/// Interval of attempts to send while too many handles are in flight to the peer.
#[cfg(feature = "tokio")]
const IN_FLIGHT_RETRY: Duration = Duration::from_millis(5);

/// The error of [`Sink::try_send`].
#[derive(Debug)]
#[non_exhaustive]
pub enum TrySendError<T> {
    /// The item was not sent, because the reader has not taken enough of the earlier ones.
    Full(T),
    /// The item can't be sent.
    Failed(Error),
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the reader of the stream has no room for another item"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<T: fmt::Debug> std::error::Error for TrySendError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Full(_) => None,
            Self::Failed(error) => error.source(),
        }
    }
}
