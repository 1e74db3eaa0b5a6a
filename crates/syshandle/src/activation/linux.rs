//! Activation: connects to the running server of a class, or starts it.
//!
//! The first client takes the registration's lock, makes the listening socket, starts the program
//! and passes it the socket. From then on all other clients queue on that socket, and none of them
//! needs to ask whether the server is ready. A client sends no call before it is greeted. So a
//! client that is not greeted may start again without losing or repeating a call.

mod confinement;
pub(crate) mod connect;
mod lookup;
mod protocol;
mod start;
#[cfg(test)]
mod tests;

use std::time::Instant;

use syshandle_registry::Registry;
use syshandle_types::Guid;
use syshandle_types::describe::Interface as Description;
use syshandle_wire::Hello;

use self::lookup::ServerLocation;
use self::start::Start;
use super::Activation;
use crate::client::Client;
use crate::client::linux::connection::ClientConnection;
use crate::client::linux::handshake::hello;
use crate::wait_mode::{WaitMode, run_on_thread};
use crate::{ErrorKind, Result};

/// Connects to the running server of a class, or starts it.
pub(super) fn connect(
    activation: &Activation,
    clsid: Guid,
    interface: &'static Description,
    deadline: Instant,
) -> Result<Client> {
    run_on_thread(connect_by(WaitMode::Thread, activation, clsid, interface, deadline))
}

/// Connects like [`connect`], with this hello.
pub(super) fn connect_with(
    activation: &Activation,
    hello: Hello,
    deadline: Instant,
) -> Result<ClientConnection> {
    run_on_thread(connect_or_start(WaitMode::Thread, &activation.registry, hello, deadline))
}

/// Connects like [`connect`], in a thread or in a task.
pub(super) async fn connect_by(
    mode: WaitMode,
    activation: &Activation,
    clsid: Guid,
    interface: &'static Description,
    deadline: Instant,
) -> Result<Client> {
    let hello = hello(clsid, interface);
    let connection = connect_or_start(mode, &activation.registry, hello, deadline).await?;
    Ok(Client::connected(connection, interface))
}

/// Connects to the server that the last lookup of the class found, if it still serves.
async fn reach_recalled(
    mode: WaitMode,
    registry: &Registry,
    hello: Hello,
    deadline: Instant,
) -> Option<ClientConnection> {
    let lookup = lookup::recall(registry, hello.clsid)?;
    match &lookup.server {
        ServerLocation::Runtime(paths) => {
            connect::reach(mode, &lookup, paths, hello, deadline).await.ok()
        }
        ServerLocation::External(_) => None,
    }
}

async fn connect_or_start(
    mode: WaitMode,
    registry: &Registry,
    hello: Hello,
    deadline: Instant,
) -> Result<ClientConnection> {
    if let Some(connection) = reach_recalled(mode, registry, hello, deadline).await {
        return Ok(connection);
    }
    let lookup = lookup::find(registry, hello.clsid)?;
    let Some(distrust) = &lookup.distrust else {
        return match &lookup.server {
            ServerLocation::External(socket) => {
                connect::connect_elsewhere(mode, socket, hello, deadline).await
            }
            ServerLocation::Runtime(paths) => {
                Start::new(mode, &lookup.file, paths, registry, hello, deadline).run().await
            }
        };
    };
    let reached = match &lookup.server {
        ServerLocation::External(socket) => {
            connect::reach_elsewhere(mode, &lookup, socket, hello, deadline).await
        }
        ServerLocation::Runtime(paths) => {
            connect::reach(mode, &lookup, paths, hello, deadline).await
        }
    };
    reached.map_err(|error| match error.kind() {
        // A server is running there, and this is its answer.
        ErrorKind::NotAllowed | ErrorKind::NoSuchClass | ErrorKind::NoSuchInterface => error,
        _ => distrust.of_another_call().because(error),
    })
}
