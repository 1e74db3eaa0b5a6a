//! Serves an object of this process with a separate reactor.

use syshandle_os::Seqpacket;
use syshandle_types::Guid;
use syshandle_types::describe::Interface as Description;
use syshandle_wire::Hello;

use crate::class::Object;
use crate::client::Client;
use crate::client::linux::handshake::ClientHandshake;
use crate::quota::QuotaLimits;
use crate::server::Context;
use crate::server::linux::connection::ServerConnection;
use crate::server::linux::doors::ServedObject;
use crate::server::linux::reactor::{Reactor, Settings};
use crate::setup::failed;
use crate::sync::now;
use crate::{Error, ErrorKind, Result};

/// Makes a client of an object in this process, for one of its interfaces.
pub(super) fn client_of(object: &Object, interface: &'static Description) -> Result<Client> {
    let limits = QuotaLimits {
        clients: CLIENTS_MAX,
        calls: CALLS_MAX,
        waiting: 4 * CALLS_MAX,
        descriptors: syshandle_os::descriptor_limit()
            .map_or(QuotaLimits::UNLIMITED.descriptors, |limit| limit as usize),
        timers: TIMERS_MAX,
        bytes: MEMORY_MAX,
    };
    let not_made = |what| move |error| Error::detected(ErrorKind::System, what).because(error);
    let reactor = Reactor::new(Settings::of_object(limits), Vec::new())?;
    let no_pair = failed("socketpair", "no connection to the object can be made");
    let (ours, theirs) = Seqpacket::pair().map_err(no_pair)?;
    ours.name_senders().map_err(not_made("the object's socket can't be set up"))?;
    ServerConnection::serve(&reactor, theirs, object)
        .map_err(not_made("the object's connection can't be watched for calls"))?;
    reactor.start().map_err(not_made("the object can't be served"))?;
    let hello = Hello { clsid: Guid::NIL, iid: interface.iid };
    let connection = ClientHandshake::new(ours, hello).open(now() + Client::TIMEOUT)?;
    let quota = reactor.quotas().of(connection.server());
    let served = ServedObject::with_client(&reactor, &quota, object.clone());
    Ok(Client::of_this_process(connection, Box::new(served), interface))
}

/// Serves an object from the server of a call.
pub(super) fn serve(
    context: &Context,
    object: Object,
    interface: &'static Description,
) -> Result<Client> {
    Ok(Client::served(Box::new(context.0.serve(object)?), interface))
}

/// Limit of concurrent method calls of one object.
const CALLS_MAX: usize = 64;

/// Limit of connections and doors of one object, which may be lent to an untrusted server.
const CLIENTS_MAX: usize = 4096;

/// Limit of pending timers of one object's background tasks.
const TIMERS_MAX: usize = 16 * 1024;

/// Limit of memory that one object holds for all its clients.
const MEMORY_MAX: usize = 256 * 1024 * 1024;
