//! Calls in a tokio runtime of a client that has not connected yet.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use syshandle_os::Waitable;
use syshandle_types::{Encoder, MessageObject};
use tokio::runtime::Handle;

use super::CallReceiver;
use super::call_queue::{OwnedCall, PassedReferences};
use super::connection::ClientConnection;
use super::deadline::Deadline;
use super::object_wait;
use super::reply::WaiterNumber;
use crate::client::Client;
use crate::untyped_stream::PassedStream;
use crate::{Error, ErrorKind, Result};

/// Call that is begun when its client has connected.
pub(super) struct ConnectingCall {
    call: OwnedCall,
    is_one_way: bool,
    /// In a lock only because a [`PendingCall`](super::pending_call::PendingCall) is `Sync`.
    connecting: Mutex<Pin<Box<dyn Future<Output = Result<()>> + Send>>>,
}

impl Client {
    /// Returns whether this client has to connect or to compare descriptions, in a runtime.
    pub(super) fn connects_in_runtime(&self) -> bool {
        !self.is_ready() && Handle::try_current().is_ok()
    }

    fn is_ready(&self) -> bool {
        self.own_connection().is_some() && self.is_compared()
    }

    /// Encodes the arguments of a call that is begun when this client has connected.
    pub(super) fn begin_connecting<'a>(
        &self,
        (method, is_one_way): (u32, bool),
        deadline: &Deadline<'_>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<ConnectingCall> {
        // Before the client has connected, references in the arguments are doors.
        let receiver = self.own_connection().map_or(0, |connection| connection.receiver());
        let to = CallReceiver { receiver, limits: crate::limits::LIMITS, connection: None };
        let call = self.encode(method, to, deadline.instant, arguments, |call| {
            OwnedCall::copy(call, deadline.instant)
        })?;
        let (client, deadline) = (self.clone(), deadline.instant);
        let connecting = Box::pin(async move {
            client.connect_in_task(deadline).await?;
            client.compare_in_task(deadline).await
        });
        Ok(ConnectingCall { call, is_one_way, connecting: Mutex::new(connecting) })
    }

    /// Waits in a task for an object of the server. Connects first if necessary.
    pub(in crate::client) async fn wait_for_async(
        &self,
        object: &(impl Waitable + Sync),
    ) -> Result<()> {
        let mut deadline = self.deadline();
        if self.own_connection().is_none() && Handle::try_current().is_ok() {
            self.connect_in_task(deadline.instant).await?;
        }
        let connection = self.connection(&mut deadline)?;
        object_wait::wait_in_task(connection, object, deadline).await
    }

    /// Opens the streams of a call that was encoded without a connection.
    fn open_streams(
        &self,
        connection: &Arc<ClientConnection>,
        objects: &mut PassedReferences,
    ) -> Result<()> {
        let entries = objects.take_unopened();
        if entries.is_empty() {
            return Ok(());
        }
        let is_stream = |entry: &MessageObject| entry.is::<PassedStream>();
        if !connection.takes_streams() && entries.iter().flatten().any(is_stream) {
            let text = "the server does not support streams";
            return Err(Error::detected(ErrorKind::Incompatible, text));
        }
        *objects = super::passed_on(&entries, connection, self.timeout)?;
        Ok(())
    }

    /// Connects in a task.
    pub(crate) async fn connect_in_task(&self, deadline: Instant) -> Result<()> {
        let shared = &self.object.shared;
        shared.connection.connect_in_task(shared.hello, deadline).await?;
        self.own_connection().into_iter().for_each(|it| self.compare_hashes(it));
        Ok(())
    }
}

impl ConnectingCall {
    /// Connects in a task.
    pub(super) fn poll_connect(
        &mut self,
        client: &Client,
        deadline: &Deadline<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        if client.is_ready() {
            return Poll::Ready(Ok(()));
        }
        deadline.check()?;
        let connecting = self.connecting.get_mut().unwrap_or_else(PoisonError::into_inner);
        connecting.as_mut().poll(context)
    }

    /// Begins the call. Connects first if necessary, in this thread.
    pub(super) fn begin(
        mut self,
        client: &Client,
        deadline: &mut Deadline<'_>,
    ) -> Result<Option<WaiterNumber>> {
        let connection = client.ready(deadline)?;
        client.check_method(self.call.method)?;
        client.open_streams(connection, self.call.objects_mut())?;
        if self.is_one_way && connection.takes_one_way_calls() {
            self.call.one_way = Some(client.one_way_number(connection));
        }
        let begun = connection.begin_owned(self.call, deadline).map(Some);
        if begun.is_err() {
            connection.wake_streams();
        }
        begun
    }
}

impl fmt::Debug for ConnectingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectingCall").field("call", &self.call).finish_non_exhaustive()
    }
}
