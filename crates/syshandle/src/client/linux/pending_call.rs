//! Calls in flight: a thread or a task begins them, continues, and fetches their results later.
//!
//! The server runs the first calls while the next ones are on their way, and a thread that waits
//! for one result receives the replies of all. So many calls share one wait, while each blocking
//! call costs two wake-ups.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
#[cfg(feature = "tokio")]
use std::task::ready;
use std::task::{Context, Poll};
use std::time::Instant;

use syshandle_os::Declaration;
use syshandle_types::Encoder;

use super::connection::ClientConnection;
use super::deadline::Deadline;
use super::pipeline::Pipeline;
use super::reply::{EncodedReply, WaiterNumber};
use crate::class::AsyncProxy;
use crate::client::{Client, ReplyReader};
use crate::{Error, ErrorKind, Result};

/// Call in flight. Its result is fetched by [`PendingCall::wait`], or by awaiting the `PendingCall`.
///
/// ```
/// use syshandle::{Result, interface};
///
/// #[interface(iid = "0b7a0f0e-5d1b-4f5e-8f0a-6f8f3c1c2a11")]
/// pub trait Squares {
///     fn square(&self, number: u64) -> Result<u64>;
/// }
///
/// struct Plain;
///
/// impl Squares for Plain {
///     fn square(&self, number: u64) -> Result<u64> {
///         Ok(number * number)
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let squares = SquaresAsyncClient::from(SquaresClient::in_process(Plain)?);
/// let pending: Vec<_> = (1..=3).map(|number| squares.square(number)).collect();
/// let sum: u64 = pending.into_iter().map(|call| call.wait()).sum::<Result<u64>>()?;
/// assert_eq!(sum, 14);
/// # Ok(())
/// # }
/// ```
///
/// The call is sent when it is begun, unless it is begun
/// [`pipelined`](crate::pipeline::pipelined) with others. Its timeout also starts then. Dropping a
/// `PendingCall` cancels the call.
///
/// The server limits the calls in flight of a client: 64 at once, over all of its threads and
/// tasks. A call beyond this limit is queued in the client, in order, with copies of its arguments
/// and handles. It is sent when the reply to another call is received. At most 65,536 calls with
/// 256 MiB of arguments wait for one connection. Further calls return
/// [`ErrorKind::Busy`](crate::ErrorKind::Busy).
///
/// # Awaiting
/// With the feature `tokio` a call can be awaited in a tokio runtime that has I/O and time enabled.
/// The runtime waits for the socket, and no thread is used. A client that was received as a
/// reference connects in the first of its tasks.
///
/// With another executor, an event loop of the program has to receive the replies: see
/// [`EventSource`](crate::pipeline::EventSource). Without either, awaiting returns an error.
#[must_use = "dropping it cancels the call"]
pub struct PendingCall<R> {
    client: Client,
    method: u32,
    declared: Option<Declaration>,
    deadline: Instant,
    state: CallState,
    /// Registration of the awaiting task with the client's `Cancel`.
    cancel_key: Option<u64>,
    read: ReplyReader<R>,
}

#[derive(Debug)]
enum CallState {
    /// The call is begun when the client has connected.
    #[cfg(feature = "tokio")]
    Connecting(Box<super::connecting_call::ConnectingCall>),
    Begun(WaiterNumber),
    /// A one-way call was sent, or a flush has nothing to wait for.
    Made,
    Failed(Error),
    /// The result was fetched.
    Fetched,
}

impl Client {
    /// Begins a call whose reply is read by `read`.
    pub(in crate::client) fn begin_as<'a, R>(
        &self,
        method: u32,
        declared: Option<Declaration>,
        arguments: impl FnOnce(&mut Encoder<'a>),
        read: ReplyReader<R>,
    ) -> PendingCall<R> {
        let mut deadline = self.deadline();
        let state = self.try_begin((method, false), &mut deadline, arguments);
        let state = state.unwrap_or_else(CallState::Failed);
        self.pending(method, declared, state, deadline.instant, read)
    }

    /// Begins a one-way call.
    pub(in crate::client) fn begin_one_way_object<'a>(
        &self,
        method: u32,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> PendingCall<Result<()>> {
        let mut deadline = self.deadline();
        let state = self.try_begin((method, true), &mut deadline, arguments);
        let state = state.unwrap_or_else(CallState::Failed);
        self.pending(method, None, state, deadline.instant, |client, method, declared, reply| {
            client.method_ref(method).without_error(client.read(method, declared, reply?))
        })
    }

    /// Returns a call that was begun, that was made already, or that could not be begun.
    pub(super) fn begun_or_made<R>(
        &self,
        method: u32,
        begun: Result<Option<WaiterNumber>>,
        deadline: Instant,
        read: ReplyReader<R>,
    ) -> PendingCall<R> {
        let state = match begun {
            Ok(Some(waiter)) => CallState::Begun(waiter),
            Ok(None) => CallState::Made,
            Err(error) => CallState::Failed(self.method_ref(method).name(error)),
        };
        self.pending(method, None, state, deadline, read)
    }

    fn pending<R>(
        &self,
        method: u32,
        declared: Option<Declaration>,
        state: CallState,
        deadline: Instant,
        read: ReplyReader<R>,
    ) -> PendingCall<R> {
        PendingCall {
            client: self.clone(),
            method,
            declared,
            deadline,
            state,
            cancel_key: None,
            read,
        }
    }

    /// Returns a call that was begun. Its reply is read by `read`.
    #[cfg(feature = "tokio")]
    pub(super) fn begun<R>(
        &self,
        method: u32,
        waiter: WaiterNumber,
        deadline: Instant,
        read: ReplyReader<R>,
    ) -> PendingCall<R> {
        self.begun_or_made(method, Ok(Some(waiter)), deadline, read)
    }

    fn try_begin<'a>(
        &self,
        (method, is_one_way): (u32, bool),
        deadline: &mut Deadline<'_>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<CallState> {
        #[cfg(feature = "tokio")]
        if self.connects_in_runtime() {
            let call = self.begin_connecting((method, is_one_way), deadline, arguments)?;
            return Ok(CallState::Connecting(Box::new(call)));
        }
        let holds = self.object.pipeline.as_ref().is_some_and(Pipeline::holds);
        self.with_call(method, deadline, arguments, |connection, call, deadline| {
            let mut call = *call;
            if is_one_way && connection.takes_one_way_calls() {
                call = self.one_way(connection, &call);
                if !holds {
                    let fetched_by = Some(deadline.instant);
                    let waiter = connection.begin_one_way(&call, deadline, fetched_by)?;
                    return Ok(waiter.map_or(CallState::Made, CallState::Begun));
                }
            }
            let waiter = match holds {
                true => connection.begin_pipelined(&call, deadline),
                false => connection.begin_later(&call, deadline),
            };
            waiter.map(CallState::Begun)
        })
    }
}

impl<R> PendingCall<R> {
    /// Waits for the result of the call, until the timeout that started with the call has passed.
    ///
    /// While it waits, it also receives the replies of other calls.
    pub fn wait(mut self) -> R {
        let result = self.finish();
        self.state = CallState::Fetched;
        self.read(result)
    }

    /// Returns whether [`wait`](Self::wait) would return at once, because the result has come, the
    /// timeout has passed, or the call was cancelled.
    pub fn is_ready(&self) -> bool {
        let deadline = Deadline::until(self.deadline, self.client.cancel.as_ref());
        match (&self.state, self.client.own_connection()) {
            (CallState::Begun(waiter), Some(connection)) => {
                deadline.check().is_err() || connection.has_result(*waiter)
            }
            (CallState::Begun(_) | CallState::Made, _) => true,
            (CallState::Failed(_) | CallState::Fetched, _) => true,
            #[cfg(feature = "tokio")]
            (CallState::Connecting(_), _) => false,
        }
    }

    fn finish(&mut self) -> Result<EncodedReply> {
        let mut deadline = Deadline::until(self.deadline, self.client.cancel.as_ref());
        let waiter = match std::mem::replace(&mut self.state, CallState::Fetched) {
            CallState::Begun(waiter) => Ok(waiter),
            CallState::Made => return Ok(EncodedReply::nothing()),
            // This error names the method already.
            CallState::Failed(error) => return Err(error),
            CallState::Fetched => Err(fetched()),
            #[cfg(feature = "tokio")]
            CallState::Connecting(call) => match call.begin(&self.client, &mut deadline) {
                Ok(None) => return Ok(EncodedReply::nothing()),
                Ok(Some(waiter)) => Ok(waiter),
                Err(error) => Err(error),
            },
        };
        let connection = self.client.connection(&mut deadline);
        self.named(waiter.and_then(|waiter| connection?.finish(waiter, &mut deadline)))
    }

    /// Adds the method's name to an error.
    fn named<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| self.client.method_ref(self.method).name(error))
    }

    /// Decodes a reply.
    fn read(&self, result: Result<EncodedReply>) -> R {
        (self.read)(&self.client, self.method, self.declared, result)
    }

    fn poll_reply(&mut self, context: &mut Context<'_>) -> Poll<Result<EncodedReply>> {
        #[cfg_attr(not(feature = "tokio"), expect(unused_mut, reason = "the client is connected"))]
        let mut deadline = Deadline::until(self.deadline, self.client.cancel.as_ref());
        if let Some(cancel) = &self.client.cancel {
            cancel.register_task(&mut self.cancel_key, context.waker());
        }
        #[cfg(feature = "tokio")]
        if let CallState::Connecting(call) = &mut self.state {
            let connected = ready!(call.poll_connect(&self.client, &deadline, context));
            if let CallState::Connecting(call) =
                std::mem::replace(&mut self.state, CallState::Fetched)
            {
                let begun = connected.and_then(|()| call.begin(&self.client, &mut deadline));
                self.state = match self.named(begun) {
                    Ok(Some(waiter)) => CallState::Begun(waiter),
                    Ok(None) => CallState::Made,
                    Err(error) => CallState::Failed(error),
                };
            }
        }
        let waiter = match &self.state {
            CallState::Begun(waiter) => *waiter,
            _ => return Poll::Ready(self.finish()),
        };
        let Some(connection) = self.client.own_connection() else {
            return Poll::Ready(self.finish());
        };
        if let Poll::Ready(result) = connection.poll(waiter, &deadline, context) {
            self.state = CallState::Fetched;
            return Poll::Ready(self.named(result));
        }
        match is_driven(connection) {
            Ok(true) => Poll::Pending,
            Ok(false) => Poll::Ready(self.named(Err(not_driven()))),
            Err(error) => Poll::Ready(self.named(Err(error.maybe_ran()))),
        }
    }
}

/// Returns whether a runtime or an event loop receives the replies. Starts a driver in the current
/// runtime, if there is one.
pub(super) fn is_driven(connection: &Arc<ClientConnection>) -> Result<bool> {
    #[cfg(feature = "tokio")]
    if super::asynchronous::start_driver(connection)? {
        return Ok(true);
    }
    Ok(connection.with_tasks(|tasks| tasks.has_event_loop()))
}

#[cold]
pub(super) fn not_driven() -> Error {
    let text = "nothing receives the reply: await the call in a tokio runtime, with the feature \
                `tokio`, or dispatch its client in an event loop";
    Error::detected(ErrorKind::Failed, text).maybe_ran()
}

#[cold]
fn fetched() -> Error {
    Error::detected(ErrorKind::Failed, "the result of the call was fetched before").maybe_ran()
}

/// # Panics
/// Panics in a tokio runtime without I/O and time.
impl<R> Future for PendingCall<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        self.poll_reply(context).map(|result| self.read(result))
    }
}

impl<R> Drop for PendingCall<R> {
    fn drop(&mut self) {
        if let (Some(key), Some(cancel)) = (self.cancel_key, &self.client.cancel) {
            cancel.forget_task(key);
        }
        if let (CallState::Begun(waiter), Some(connection)) =
            (&self.state, self.client.own_connection())
        {
            connection.abandon(*waiter);
        }
    }
}

impl<R> fmt::Debug for PendingCall<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingCall")
            .field("method", &self.client.method_ref(self.method))
            .finish_non_exhaustive()
    }
}

/// Begins calls that are sent to the server together: the calls that `begin` begins with its
/// argument, a copy of `client`.
///
/// Many small calls cost less this way than one after the other. They are sent when `begin` returns,
/// or earlier: after sixteen calls, when the result of one of them is fetched, or when one has
/// handles or more than 1 KiB of arguments. If sending fails, each call returns the error. A call
/// whose [`PendingCall`] is dropped before the call is sent is never sent.
///
/// ```
/// use syshandle::{Result, interface, pipeline::pipelined};
///
/// #[interface(iid = "0b7a0f0e-5d1b-4f5e-8f0a-6f8f3c1c2a12")]
/// pub trait Squares {
///     fn square(&self, number: u64) -> Result<u64>;
/// }
///
/// struct Plain;
///
/// impl Squares for Plain {
///     fn square(&self, number: u64) -> Result<u64> {
///         Ok(number * number)
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let squares = SquaresAsyncClient::from(SquaresClient::in_process(Plain)?);
/// let calls: Vec<_> = pipelined(&squares, |squares| {
///     (1..=3).map(|number| squares.square(number)).collect()
/// });
/// let sum: u64 = calls.into_iter().map(|call| call.wait()).sum::<Result<u64>>()?;
/// assert_eq!(sum, 14);
/// # Ok(())
/// # }
/// ```
pub fn pipelined<P: AsyncProxy, R>(client: &P, begin: impl FnOnce(&P) -> R) -> R {
    let mut holding = client.as_client().clone();
    holding.object.pipeline = Some(Pipeline::default());
    let holding = P::from_client(holding);
    let _end = FlushOnDrop(holding.as_client());
    begin(&holding)
}

/// Sends the held calls on drop, also during a panic.
struct FlushOnDrop<'c>(&'c Client);

impl Drop for FlushOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(pipeline) = &self.0.object.pipeline {
            // Copies of the client may live on. The calls that they begin later must not be held.
            pipeline.end();
        }
        if let Some(connection) = self.0.own_connection() {
            connection.flush();
        }
    }
}
