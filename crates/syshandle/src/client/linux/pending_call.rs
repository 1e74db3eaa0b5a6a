//! Calls in flight: a thread begins them, continues, and waits for their results later.
//!
//! The server runs the first calls while the next ones are on their way, and a thread that waits
//! for one result receives the replies of all. So many calls share one wait, while each blocking
//! call costs two wake-ups.

use std::fmt;
use std::time::Instant;

use syshandle_os::Declaration;
use syshandle_types::{Decode, Encoder};

use super::connection::StartedCall;
use super::deadline::Deadline;
use super::reply::EncodedReply;
use crate::buffer::{give_bytes, take_bytes};
use crate::client::Client;
use crate::{CallError, Result};

/// Call in flight. [`PendingCall::wait`] returns its result.
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
/// let squares = SquaresClient::in_process(Plain)?;
/// let starter = SquaresStarter::from(&squares);
/// let pending: Vec<_> = (1..=3).map(|number| starter.square(number)).collect();
/// let sum: u64 = pending.into_iter().map(|call| call.wait()).sum::<Result<u64>>()?;
/// assert_eq!(sum, 14);
/// # Ok(())
/// # }
/// ```
///
/// The call is sent when it is begun, unless it is begun
/// [`pipelined`](crate::pipeline::pipelined) with others.
/// Its timeout also starts then. Dropping a `PendingCall` cancels the call.
///
/// The server limits the calls in flight of a client: 64 at once, over all of its threads.
/// Beginning one more waits until another one has ended.
#[must_use = "dropping it cancels the call"]
pub struct PendingCall<R> {
    client: Client,
    method: u32,
    declared: Option<Declaration>,
    deadline: Instant,
    /// Call that was begun, or the error of beginning it. `wait` takes it.
    started: Option<Result<StartedCall>>,
    read: ReplyReader<R>,
}

/// Converts a reply to a result.
type ReplyReader<R> = fn(&Client, u32, Option<Declaration>, Result<EncodedReply>) -> R;

impl Client {
    /// Begins a call of a method that has no error type of its own.
    #[doc(hidden)]
    pub fn begin<'a, T: Decode>(
        &self,
        method: u32,
        declared: Option<Declaration>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> PendingCall<Result<T>> {
        self.begin_as(method, declared, arguments, |client, method, declared, reply| {
            client.method_ref(method).without_error(client.read(method, declared, reply?))
        })
    }

    /// Begins a call of a method that has an error type of its own.
    #[doc(hidden)]
    pub fn begin_with_error<'a, T: Decode, E: Decode>(
        &self,
        method: u32,
        declared: Option<Declaration>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> PendingCall<Result<T, CallError<E>>> {
        self.begin_as(method, declared, arguments, |client, method, declared, reply| {
            client.read(method, declared, reply?)
        })
    }

    fn begin_as<'a, R>(
        &self,
        method: u32,
        declared: Option<Declaration>,
        arguments: impl FnOnce(&mut Encoder<'a>),
        read: ReplyReader<R>,
    ) -> PendingCall<R> {
        let deadline = self.deadline();
        let started = Some(self.send_call(method, arguments, deadline));
        let (client, deadline) = (self.clone(), deadline.instant);
        PendingCall { client, method, declared, deadline, started, read }
    }

    fn send_call<'a>(
        &self,
        method: u32,
        arguments: impl FnOnce(&mut Encoder<'a>),
        mut deadline: Deadline<'_>,
    ) -> Result<StartedCall> {
        let method_ref = self.method_ref(method);
        let place = |error: crate::Error| method_ref.name(error);
        let connection = self.connection(&mut deadline).map_err(place)?;
        let mut out = Encoder::new(take_bytes(), connection.limits()).until(deadline.instant);
        arguments(&mut out);
        let (payload, handles) = out.finish_lent().map_err(|error| method_ref.unsendable(error))?;
        crate::log::trace!(method = %method_ref, bytes = payload.len(), handles = handles.len(), "beginning");
        let started = handles.with(|handles| match &self.object.pipeline {
            None => connection.begin(method, &payload, handles, &mut deadline),
            Some(pipeline) => {
                connection.begin_pipelined(pipeline, method, &payload, handles, &mut deadline)
            }
        });
        let started = started.map_err(place)?;
        give_bytes(payload.into_room());
        Ok(started)
    }
}

impl<R> PendingCall<R> {
    /// Waits for the result of the call, until the timeout that started with the call has passed.
    ///
    /// While it waits, it also receives the replies of other calls.
    pub fn wait(mut self) -> R {
        let reply = self.reply();
        (self.read)(&self.client, self.method, self.declared, reply)
    }

    fn reply(&mut self) -> Result<EncodedReply> {
        let gone = || crate::Error::detected(crate::ErrorKind::Disconnected, "no call was started");
        let started = self.started.take().unwrap_or_else(|| Err(gone()))?;
        let mut deadline = Deadline::until(self.deadline, self.client.cancel.as_ref());
        let connection = self.client.connection(&mut deadline)?;
        let method_ref = self.client.method_ref(self.method);
        if let Some(pipeline) = &self.client.object.pipeline {
            pipeline.send(connection, &mut deadline);
            if let Some(error) = pipeline.take_error(&started) {
                return Err(method_ref.name(error));
            }
        }
        connection.finish(&started, &mut deadline).map_err(|error| method_ref.name(error))
    }
}

impl<R> Drop for PendingCall<R> {
    fn drop(&mut self) {
        if let (Some(Ok(started)), Some(connection)) = (&self.started, self.client.own_connection())
        {
            let pipeline = self.client.object.pipeline.as_ref();
            if !pipeline.is_some_and(|pipeline| pipeline.withdraw(connection, started)) {
                connection.abandon(started);
            }
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
