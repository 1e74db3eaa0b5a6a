//! Begins the calls of generated asynchronous clients.

use syshandle_os::Declaration;
use syshandle_types::{Decode, Encoder};

use super::Client;
use super::platform::pending_call::PendingCall;
use crate::{CallError, Result};

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

    /// Begins a one-way call, whose result is fetched when the call was sent.
    #[doc(hidden)]
    pub fn begin_one_way<'a>(
        &self,
        method: u32,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> PendingCall<Result<()>> {
        self.begin_one_way_object(method, arguments)
    }

    /// Begins to wait until one-way calls have ended.
    #[doc(hidden)]
    pub fn begin_flush(&self) -> PendingCall<Result<()>> {
        self.begin_flush_object()
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
}
