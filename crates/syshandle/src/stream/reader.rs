//! The end of a stream that reads, and that a message passes.

use std::fmt;
use std::mem;
#[cfg(feature = "tokio")]
use std::pin::Pin;
use std::sync::Arc;
#[cfg(feature = "tokio")]
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use syshandle_types::describe::{Describe, Type};
use syshandle_types::{
    Declaration, Decode, DecodeError, Decoder, Encode, EncodeErrorKind, Encoder,
};

use super::pair::Pair;
use super::transport::{self, EncodedItem, StreamReader};
use super::waiting::block_until;
use crate::method_ref::MethodRef;
use crate::{Error, ErrorKind, Result, limits};

/// The end of a stream that reads the items, and that a method returns or takes.
///
/// As an iterator it blocks the thread, up to the [timeout](Self::set_timeout) for each item. With
/// the feature `tokio` it is also a [`futures_core::Stream`]. Dropping it stops the writer.
///
/// An error is the last item, except [`ErrorKind::TimedOut`], after which the next call waits again.
pub struct Stream<T> {
    source: Source<T>,
    timeout: Option<Duration>,
    /// The end of the current wait of a task.
    #[cfg(feature = "tokio")]
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

/// The place from which the items come.
enum Source<T> {
    /// The sink of this process.
    Local(Arc<Pair<T>>),
    Received(Box<ReceivedItems>),
    /// The stream has ended.
    Ended,
}

/// The items that come over a connection.
struct ReceivedItems {
    reader: StreamReader,
    /// The method that has passed the stream.
    method: Option<MethodRef>,
    /// The parameter that is the stream; `None` for a result.
    parameter: Option<u16>,
    /// The declaration of the handles in the items.
    declared: Option<Declaration>,
    /// Number of items that were decoded.
    count: u64,
}

impl<T> Stream<T> {
    pub(super) fn local(pair: Arc<Pair<T>>) -> Self {
        Self::of(Source::Local(pair))
    }

    fn of(source: Source<T>) -> Self {
        Self {
            source,
            timeout: None,
            #[cfg(feature = "tokio")]
            timer: None,
        }
    }

    /// Sets the maximum time of a wait for an item. The default is the timeout of the client's call
    /// that has passed the stream; in a server it is 30 seconds.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    fn timeout(&self) -> Duration {
        self.timeout.unwrap_or_else(|| match &self.source {
            Source::Received(items) => items.reader.timeout(),
            Source::Local(_) | Source::Ended => limits::CALL_TIMEOUT,
        })
    }

    /// Ends the stream after an error that is the last item.
    fn checked(&mut self, next: Option<Result<T>>) -> Option<Result<T>> {
        match &next {
            Some(Ok(_)) => {}
            Some(Err(error)) if error.kind() == ErrorKind::TimedOut => {}
            Some(Err(_)) | None => drop(mem::replace(&mut self.source, Source::Ended)),
        }
        next
    }
}

impl<T: Decode> Stream<T> {
    /// Waits for the next item, at most for this time. Returns `None` after the end.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<T>> {
        let until = limits::deadline(Instant::now(), timeout);
        let next = match &mut self.source {
            Source::Local(pair) => block_until(until, |context| pair.poll_take(context))
                .unwrap_or_else(|| Some(Err(no_item()))),
            Source::Received(items) => {
                let next = items.reader.next(until);
                items.decode(next)
            }
            Source::Ended => None,
        };
        self.checked(next)
    }

    /// Waits in a task of a tokio runtime for the next item. Returns `None` after the end.
    #[cfg(feature = "tokio")]
    pub async fn next_async(&mut self) -> Option<Result<T>> {
        std::future::poll_fn(|context| self.poll_item(context)).await
    }

    #[cfg(feature = "tokio")]
    fn poll_item(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let polled = match &mut self.source {
            Source::Local(pair) => pair.poll_take(context),
            Source::Received(items) => match items.reader.poll_next(context) {
                Poll::Ready(next) => Poll::Ready(items.decode(next)),
                Poll::Pending => Poll::Pending,
            },
            Source::Ended => Poll::Ready(None),
        };
        if let Poll::Ready(next) = polled {
            self.timer = None;
            return Poll::Ready(self.checked(next));
        }
        let until = limits::deadline(Instant::now(), self.timeout());
        let timer =
            self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until.into())));
        ready!(timer.as_mut().poll(context));
        self.timer = None;
        Poll::Ready(Some(Err(no_item())))
    }
}

/// Waits for each item at most for the [timeout](Stream::set_timeout).
impl<T: Decode> Iterator for Stream<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        self.next_timeout(self.timeout())
    }
}

/// Waits for each item at most for the [timeout](Stream::set_timeout). Needs a tokio runtime with
/// I/O and time enabled.
#[cfg(feature = "tokio")]
impl<T: Decode> futures_core::Stream for Stream<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.poll_item(context)
    }
}

impl ReceivedItems {
    /// Decodes an item.
    fn decode<T: Decode>(&mut self, next: Result<Option<EncodedItem>>) -> Option<Result<T>> {
        let declared = self.declared;
        let item = match next {
            Ok(item) => item?,
            Err(error) => return Some(Err(self.at(error))),
        };
        let mut path = String::new();
        let item = item.decode(|input| {
            input.field(declared).inspect_err(|error: &DecodeError| {
                error.path.as_str().clone_into(&mut path);
            })
        });
        let item = item.map_err(|error| {
            let place = match path.as_str() {
                "" => format!("item {}", self.count),
                path => format!("item {} `{path}`", self.count),
            };
            self.at(error.at(&place))
        });
        self.count += 1;
        Some(item)
    }

    /// Adds the method and the parameter to an error.
    fn at(&self, error: Error) -> Error {
        match self.method {
            Some(method) => method.stream_error(self.parameter, error),
            None => error,
        }
    }
}

/// Passes the stream. The reader of the message takes the items.
impl<T: Encode + Send + 'static> Encode for Stream<T> {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        let Source::Local(pair) = &self.source else {
            let text = "a stream that was received can't be passed on";
            return out.fail(EncodeErrorKind::Value(text.into()));
        };
        transport::pass(pair, out);
    }
}

impl<T: Decode> Decode for Stream<T> {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let reader = transport::receive(input)?;
        let method = input.method().map(|(interface, method)| MethodRef { interface, method });
        let (parameter, declared) = (input.parameter_index(), input.declaration());
        let items = ReceivedItems { reader, method, parameter, declared, count: 0 };
        Ok(Self::of(Source::Received(Box::new(items))))
    }
}

impl<T: Describe> Describe for Stream<T> {
    const TYPE: Type = Type::stream(&T::TYPE);
    type Argument<'a>
        = Self
    where
        Self: 'a;
    type Output = Self;
}

impl<T> Drop for Stream<T> {
    fn drop(&mut self) {
        if let Source::Local(pair) = &self.source {
            pair.stop();
        }
    }
}

/// Returns the error of a wait for an item.
fn no_item() -> Error {
    Error::detected(ErrorKind::TimedOut, "timed out waiting for an item of the stream").of_no_call()
}

impl<T> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}
