//! Calls in flight: begun by a thread that goes on, and waits for their results later.
//!
//! Whoever has many calls to make needn't wait for each: the server runs what has come while the
//! next ones are on their way, and a thread that waits for one result takes in the replies of all.
//! So many calls share one wait, where blocking calls cost two wakings each.

use std::fmt;
use std::time::Instant;

use syshandle_os::Declared;
use syshandle_wire::{Decode, Encoder};

use super::Client;
use super::connection::Begun;
use super::patience::Patience;
use super::reply::Reply;
use crate::buffer::{give_bytes, take_bytes};
use crate::{CallError, Result};

/// A call that was begun: what it returns comes from [`Pending::wait`].
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
/// It was sent when it was begun, unless that was [`together`](crate::together) with others, and its
/// time runs since then. Dropping this cancels the call. There are no more of them at once than the
/// server takes (64, all threads of a client's together): beginning one more waits until one has
/// ended.
#[must_use = "dropping it cancels the call"]
pub struct Pending<R> {
    client: Client,
    method: u32,
    declared: Option<Declared>,
    deadline: Instant,
    /// What was begun, or why it wasn't; taken by whoever waits.
    begun: Option<Result<Begun>>,
    read: Read<R>,
}

/// Makes a result of a reply.
type Read<R> = fn(&Client, u32, Option<Declared>, Result<Reply>) -> R;

impl Client {
    /// Begins a call of a method that fails only as every call can.
    #[doc(hidden)]
    pub fn begin<'a, T: Decode>(
        &self,
        method: u32,
        declared: Option<Declared>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Pending<Result<T>> {
        self.begin_as(method, declared, arguments, |client, method, declared, reply| {
            let result = client.read(method, declared, reply);
            client.site(method).without_error(result)
        })
    }

    /// Begins a call of a method that has an error type of its own.
    #[doc(hidden)]
    pub fn begin_with_error<'a, T: Decode, E: Decode>(
        &self,
        method: u32,
        declared: Option<Declared>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Pending<Result<T, CallError<E>>> {
        self.begin_as(method, declared, arguments, Self::read)
    }

    fn begin_as<'a, R>(
        &self,
        method: u32,
        declared: Option<Declared>,
        arguments: impl FnOnce(&mut Encoder<'a>),
        read: Read<R>,
    ) -> Pending<R> {
        let patience = self.patience();
        let begun = Some(self.send_call(method, arguments, patience));
        let (client, deadline) = (self.clone(), patience.deadline);
        Pending { client, method, declared, deadline, begun, read }
    }

    fn send_call<'a>(
        &self,
        method: u32,
        arguments: impl FnOnce(&mut Encoder<'a>),
        mut patience: Patience<'_>,
    ) -> Result<Begun> {
        let site = self.site(method);
        let place = |error: crate::Error| site.name(error);
        let connection = self.connection(&mut patience).map_err(place)?;
        let mut out = Encoder::new(take_bytes(), connection.limits()).until(patience.deadline);
        arguments(&mut out);
        let (payload, handles) = out.finish_lent().map_err(|error| site.unsendable(error))?;
        crate::log::trace!(method = %site, bytes = payload.len(), handles = handles.len(), "beginning");
        let begun = handles.with(|handles| match &self.gathered {
            None => connection.begin(method, &payload, handles, &mut patience),
            Some(gathered) => {
                connection.begin_together(gathered, method, &payload, handles, &mut patience)
            }
        });
        let begun = begun.map_err(place)?;
        give_bytes(payload.into_room());
        Ok(begun)
    }

    fn read<T: Decode, E: Decode>(
        &self,
        method: u32,
        declared: Option<Declared>,
        reply: Result<Reply>,
    ) -> Result<T, CallError<E>> {
        let reply = reply?;
        // It is connected: that was its reply.
        let connection = self.connection(&mut self.patience())?;
        self.read_reply(connection, method, declared, reply)
    }
}

impl<R> Pending<R> {
    /// Waits for what the call returns, as long as the time lasts that began with the call.
    ///
    /// Takes in the replies of other calls meanwhile.
    pub fn wait(mut self) -> R {
        let reply = self.reply();
        (self.read)(&self.client, self.method, self.declared, reply)
    }

    fn reply(&mut self) -> Result<Reply> {
        let gone = || crate::Error::new(crate::ErrorKind::Disconnected, "no call was begun");
        let begun = self.begun.take().unwrap_or_else(|| Err(gone()))?;
        let mut patience = Patience::until(self.deadline, self.client.cancel.as_ref());
        let connection = self.client.connection(&mut patience)?;
        let site = self.client.site(self.method);
        if let Some(gathered) = &self.client.gathered {
            gathered.send(connection, &mut patience);
            if let Some(error) = gathered.take_error(&begun) {
                return Err(site.name(error));
            }
        }
        connection.finish(&begun, &mut patience).map_err(|error| site.name(error))
    }
}

impl<R> Drop for Pending<R> {
    fn drop(&mut self) {
        if let (Some(Ok(begun)), Some(connection)) = (&self.begun, self.client.own_connection()) {
            let gathered = self.client.gathered.as_ref();
            if !gathered.is_some_and(|gathered| gathered.withdraw(connection, begun)) {
                connection.abandon(begun);
            }
        }
    }
}

impl<R> fmt::Debug for Pending<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("method", &self.client.site(self.method))
            .finish_non_exhaustive()
    }
}
