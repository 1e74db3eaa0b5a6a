//! Calls in a tokio runtime of a client that has not connected yet.

use std::future::Future;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use syshandle_os::{OwnedHandle, Waitable};
use syshandle_types::{Encoder, Payload};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};

use super::asynchronous;
use super::calls::{NewCall, duplicate};
use super::connection::ClientConnection;
use super::deadline::Deadline;
use super::reply::WaiterNumber;
use crate::client::Client;
use crate::{Error, Result};

/// Call that is begun when its client has connected. Connecting may wait for the server, so a
/// thread of the runtime's pool connects.
#[derive(Debug)]
pub(super) struct ConnectingCall {
    method: u32,
    body: Payload<'static>,
    handles: Vec<OwnedHandle>,
    deadline: Instant,
    connecting: Option<JoinHandle<Result<()>>>,
}

impl Client {
    /// Returns whether this client has to connect, in a runtime.
    pub(super) fn connects_in_runtime(&self) -> bool {
        self.own_connection().is_none() && Handle::try_current().is_ok()
    }

    /// Encodes the arguments of a call, and duplicates its handles.
    pub(super) fn prepare<'a>(
        &self,
        method: u32,
        deadline: &Deadline<'_>,
        arguments: impl FnOnce(&mut Encoder<'a>),
    ) -> Result<ConnectingCall> {
        let method_ref = self.method_ref(method);
        let mut out = Encoder::new(Vec::new(), crate::limits::LIMITS).until(deadline.instant);
        arguments(&mut out);
        let (body, handles) = out.finish_lent().map_err(|error| method_ref.unsendable(error))?;
        let handles = handles.with(duplicate).map_err(|error| method_ref.name(error))?;
        let (body, deadline) = (body.into_vec().into(), deadline.instant);
        Ok(ConnectingCall { method, body, handles, deadline, connecting: None })
    }

    /// Waits in a task for an object of the server. Connects first if necessary.
    pub(in crate::client) async fn wait_for_async(
        &self,
        object: &(impl Waitable + Sync),
    ) -> Result<()> {
        let mut deadline = self.deadline();
        if self.connects_in_runtime() {
            self.connect_in_background(deadline.instant).await.map_err(Error::runtime_ended)??;
        }
        let connection = self.connection(&mut deadline)?;
        asynchronous::wait_for(connection, object, deadline).await
    }

    /// Connects, on a thread of the runtime's pool for blocking work.
    pub(super) fn connect_in_background(&self, deadline: Instant) -> JoinHandle<Result<()>> {
        let client = self.clone();
        spawn_blocking(move || client.connection(&mut Deadline::until(deadline, None)).map(drop))
    }
}

impl ConnectingCall {
    /// Begins the call.
    pub(super) fn begin(
        &self,
        connection: &ClientConnection,
        deadline: &Deadline<'_>,
    ) -> Result<WaiterNumber> {
        let handles: Vec<_> = self.handles.iter().map(AsFd::as_fd).collect();
        let call = NewCall { method: self.method, body: &self.body, handles: &handles };
        connection.begin_later(&call, deadline)
    }

    /// Connects, and begins the call.
    pub(super) fn poll_connect(
        &mut self,
        client: &Client,
        context: &mut Context<'_>,
    ) -> Poll<Result<WaiterNumber>> {
        let mut deadline = Deadline::until(self.deadline, client.cancel.as_ref());
        if client.own_connection().is_none() {
            deadline.check()?;
            let connecting =
                self.connecting.get_or_insert_with(|| client.connect_in_background(self.deadline));
            match Pin::new(connecting).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(connected) => {
                    connected.map_err(Error::runtime_ended).and_then(|result| result)?
                }
            }
        }
        let begun = client.connection(&mut deadline).and_then(|it| self.begin(it, &deadline));
        Poll::Ready(begun)
    }
}
