//! Objects of this process, with the same client type as objects of other processes.

use std::sync::Arc;
use std::time::Duration;

use syshandle_os::{Filesystems, Seqpacket};
use syshandle_types::Guid;
use syshandle_wire::Hello;

use crate::class::{Implements, Interface, Object, Proxy};
use crate::client::Client;
use crate::client::handshake::ClientHandshake;
use crate::quota::QuotaLimits;
use crate::server::Context;
use crate::server::doors::ServedObject;
use crate::server::reactor::{Reactor, Settings};
use crate::setup::failed;
use crate::sync::now;
use crate::{Error, ErrorKind, Result};

/// Makes a client of an object in this process: for tests of code that uses an interface, and to
/// pass an object to a server (a callback).
///
/// The object has only this interface, so `cast` fails for every other one.
/// [`Class::in_process`](crate::class::Class::in_process) makes an object with all interfaces of a class.
///
/// Calls take the full path: they go through the kernel and are checked as between processes.
/// Threads of the object's own serve it until its last reference is dropped.
///
/// # Errors
/// No descriptor, or no thread, left.
pub fn in_process<I, T>(implementation: T) -> Result<I::Proxy>
where
    I: Interface + Implements<T> + ?Sized,
{
    let object = Object::new().with::<I, T>(&Arc::new(implementation));
    client_of(&object)
}

/// Makes a client of an object in this process, for one of its interfaces.
pub(crate) fn client_of<P: Proxy>(object: &Object) -> Result<P> {
    let interface = P::Interface::DESCRIPTION;
    object.require(interface)?;
    let settings = Settings {
        loops: 1,
        max_concurrent_calls: CALLS_MAX,
        clients_max: CLIENTS_MAX,
        idle: Some(Duration::ZERO),
        drain: Duration::ZERO,
        // Only this process gives away references to the object.
        filesystems: Filesystems::local(),
        quota_limits: QuotaLimits {
            clients: CLIENTS_MAX,
            calls: CALLS_MAX,
            waiting: 4 * CALLS_MAX,
            descriptors: syshandle_os::descriptor_limit()
                .map_or(QuotaLimits::UNLIMITED.descriptors, |limit| limit as usize),
            timers: TIMERS_MAX,
            bytes: MEMORY_MAX,
        },
    };
    let not_made = |what| move |error| Error::detected(ErrorKind::System, what).because(error);
    let reactor = Reactor::new(settings, std::collections::HashMap::new())?;
    let no_pair = failed("socketpair", "no connection to the object can be made");
    let (ours, theirs) = Seqpacket::pair().map_err(no_pair)?;
    ours.name_senders().map_err(not_made("the object's socket can't be set up"))?;
    reactor
        .serve(theirs, object)
        .map_err(not_made("the object's connection can't be watched for calls"))?;
    reactor.start().map_err(not_made("the object can't be served"))?;
    let hello = Hello { clsid: Guid::NIL, iid: interface.iid };
    let connection = ClientHandshake::new(ours, hello).open(now() + Client::TIMEOUT)?;
    let quota = reactor.quotas.of(connection.server());
    let served = ServedObject::with_client(&reactor, &quota, object.clone());
    Ok(P::from_client(Client::of_this_process(connection, Box::new(served), interface)))
}

impl Context {
    /// Serves an object from this server and returns a reference to it. The method returns the
    /// reference to the client or passes it to others. The object is released with the last
    /// reference.
    ///
    /// # Errors
    /// [`ErrorKind::System`] if no descriptor is left, and [`ErrorKind::Busy`] at the limit of
    /// references.
    pub fn serve<I, T>(&self, implementation: T) -> Result<I::Proxy>
    where
        I: Interface + Implements<T> + ?Sized,
    {
        let object = Object::new().with::<I, T>(&Arc::new(implementation));
        let served = self.serve_object(object)?;
        Ok(I::Proxy::from_client(Client::served(Box::new(served), I::DESCRIPTION)))
    }
}

/// Limit of concurrent blocking method calls of one object.
const CALLS_MAX: usize = 64;

/// Limit of connections and doors of one object, which may be lent to an untrusted server.
const CLIENTS_MAX: usize = 4096;

/// Limit of pending timers of one object's background tasks.
const TIMERS_MAX: usize = 16 * 1024;

/// Limit of memory that one object holds for all its clients.
const MEMORY_MAX: usize = 256 * 1024 * 1024;
