//! One-way calls of a client: the failures that the server has reported, and the wait for the end of
//! the calls.
//!
//! A one-way call is made when its frame was sent. The server reports only its failure. The frame of
//! a call contains a number that stands for the reference through which the call was made, so that
//! the failure reaches that reference.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, Weak};

use syshandle_os::Declaration;
use syshandle_types::describe::Interface as Description;
use syshandle_types::{Encoder, Payload};
use syshandle_wire::Fault;

use super::call_queue::NewCall;
use super::connection::ClientConnection;
use super::deadline::Deadline;
use super::pending_call::PendingCall;
use super::reply::{EncodedReply, WaiterNumber};
use crate::client::Client;
use crate::method_ref::MethodRef;
use crate::one_way::FLUSH;
use crate::sync::Mutex;
use crate::{Error, Result};

/// A reference that has made one-way calls.
#[derive(Debug)]
pub(super) struct OneWayCaller {
    /// The number that its calls have.
    number: u32,
    /// The error of the first call that failed since the last flush.
    failure: Mutex<Option<Error>>,
}

impl OneWayCaller {
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    fn take_failure(&self) -> Result<()> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map_or(Ok(()), Err)
    }
}

/// The references of a connection that have made one-way calls, by their numbers.
#[derive(Debug, Default)]
pub(super) struct OneWayCallers {
    callers: BTreeMap<u32, (&'static Description, Weak<OneWayCaller>)>,
    last: u32,
    /// Number of references after which those that were dropped are removed.
    remove_at: usize,
    /// Failures that were not logged yet.
    unlogged: Vec<OneWayFailure>,
}

/// The failure of a one-way call. Logged on drop.
#[derive(Debug)]
pub(super) struct OneWayFailure {
    method: Option<MethodRef>,
    error: Error,
}

impl OneWayCallers {
    /// Adds a reference.
    pub(super) fn add(&mut self, interface: &'static Description) -> Arc<OneWayCaller> {
        if self.callers.len() >= self.remove_at {
            self.callers.retain(|_, (_, caller)| caller.strong_count() > 0);
            self.remove_at = (2 * self.callers.len()).max(CALLERS_MIN);
        }
        while self.callers.contains_key(&self.last) {
            self.last = self.last.wrapping_add(1);
        }
        let caller = Arc::new(OneWayCaller { number: self.last, failure: Mutex::default() });
        self.callers.insert(caller.number, (interface, Arc::downgrade(&caller)));
        self.last = self.last.wrapping_add(1);
        caller
    }

    /// Records that a call of the reference with this number failed. The reference may have been
    /// dropped.
    #[cold]
    pub(super) fn failed(&mut self, number: u32, method: u32, fault: &Fault) {
        let caller = self.callers.get(&number);
        let method = caller.map(|(interface, _)| MethodRef { interface, method });
        let error = || match method {
            Some(method) => method.told(fault),
            None => Error::from_fault(fault),
        };
        if let Some(caller) = caller.and_then(|(_, caller)| caller.upgrade()) {
            let mut failure = caller.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert_with(error);
        }
        self.unlogged.push(OneWayFailure { method, error: error() });
    }

    /// Returns whether failures were not logged yet.
    #[inline]
    pub(super) fn has_unlogged(&self) -> bool {
        !self.unlogged.is_empty()
    }

    /// Takes the failures that were not logged yet.
    #[cold]
    pub(super) fn take_unlogged(&mut self) -> Vec<OneWayFailure> {
        std::mem::take(&mut self.unlogged)
    }
}

impl Drop for OneWayFailure {
    fn drop(&mut self) {
        let Self { method, error } = self;
        match method {
            Some(method) => crate::log::warn!(%method, %error, "a one-way call failed"),
            None => crate::log::warn!(%error, "a one-way call failed"),
        }
    }
}

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

/// Number of references below which none are removed.
const CALLERS_MIN: usize = 64;
