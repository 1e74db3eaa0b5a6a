//! One-way calls of a client, and the wait for their end.

use syshandle_os::Declaration;
use syshandle_types::{Encoder, Payload};

use super::call_queue::NewCall;
use super::connection::ClientConnection;
use super::deadline::Deadline;
use super::pending_call::PendingCall;
use super::reply::{EncodedReply, WaiterNumber};
use crate::Result;
use crate::client::Client;
use crate::one_way::FLUSH;

impl Client {
    /// Makes a one-way call. Waits until it is sent.
    pub(in crate::client) fn call_one_way_object<'a>(
        &self,
        method: u32,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<()> {
        let mut deadline = self.deadline();
        let connection = self.connection(&mut deadline);
        let connection = connection.map_err(|error| self.method_ref(method).name(error))?;
        if !connection.takes_one_way_calls() {
            // The reply shows that the call has ended.
            let called = self.call_object(method, None, arguments);
            return self.method_ref(method).without_error(called);
        }
        self.with_call(method, &mut deadline, arguments, |connection, call, deadline| {
            let call = self.one_way(connection, call);
            match connection.begin_one_way(&call, deadline, None)? {
                Some(waiter) => connection.finish(waiter, deadline).map(drop),
                None => Ok(()),
            }
        })
    }

    /// Returns a call as a one-way call of this reference.
    pub(super) fn one_way<'c, 'p>(
        &self,
        connection: &ClientConnection,
        call: &NewCall<'c, 'p>,
    ) -> NewCall<'c, 'p> {
        NewCall { one_way: Some(self.one_way_number(connection)), ..*call }
    }

    /// Returns the number of this reference in its one-way calls.
    pub(super) fn one_way_number(&self, connection: &ClientConnection) -> u32 {
        let add = || connection.add_one_way_caller(self.interface);
        self.object.shared.one_way.get_or_init(add).number()
    }

    /// Waits until the one-way calls of this reference have ended.
    pub(in crate::client) fn flush_object(&self) -> Result<()> {
        let mut deadline = self.deadline();
        // A reference without a connection has made no call, and a forked copy gets an error.
        if self.object.shared.one_way.get().is_none() {
            return Ok(());
        }
        let place = |error| self.method_ref(FLUSH).name(error);
        let connection = self.connection(&mut deadline).map_err(place)?;
        if connection.has_one_way_calls().map_err(place)? {
            let none = Payload::default();
            let waiter = self.own_call(FLUSH, &none, |call| connection.begin(call, &deadline));
            let reply = waiter.and_then(|waiter| connection.finish(waiter, &mut deadline));
            return self.finish_flush(FLUSH, None, reply.map_err(place));
        }
        self.take_failure()
    }

    /// Returns the result of a flush, given the reply of the server.
    fn finish_flush(
        &self,
        method: u32,
        declared: Option<Declaration>,
        reply: Result<EncodedReply>,
    ) -> Result<()> {
        let flushed = reply.and_then(|reply| {
            self.method_ref(method).without_error::<()>(self.read(method, declared, reply))
        });
        if let Err(error) = flushed {
            // The server may have ended in order, after it has acknowledged all calls.
            let connection = self.own_connection();
            let are_left = connection.is_none_or(|it| it.has_one_way_calls().unwrap_or(true));
            if are_left {
                return Err(error.maybe_ran());
            }
        }
        self.take_failure()
    }

    fn take_failure(&self) -> Result<()> {
        self.object.shared.one_way.get().map_or(Ok(()), |caller| caller.take_failure())
    }

    /// Begins to wait until the one-way calls of this reference have ended.
    pub(in crate::client) fn begin_flush_object(&self) -> PendingCall<Result<()>> {
        let deadline = self.deadline();
        let begun = self.try_begin_flush(&deadline);
        self.begun_or_made(FLUSH, begun, deadline.instant, Self::finish_flush)
    }

    fn try_begin_flush(&self, deadline: &Deadline<'_>) -> Result<Option<WaiterNumber>> {
        let Some(connection) = self.own_connection() else { return Ok(None) };
        if self.object.shared.one_way.get().is_none() || !connection.has_one_way_calls()? {
            return Ok(None);
        }
        let none = Payload::default();
        self.own_call(FLUSH, &none, |call| connection.begin_later(call, deadline)).map(Some)
    }
}
