//! Clients of objects of this process.

use std::sync::Arc;

use syshandle_types::describe::Interface as Description;

use crate::Result;
use crate::client::Client;
use crate::server::linux::served_object::ServedObject;
use crate::server::{Context, ServerEventSource};
use crate::untyped_object::Object;

/// Makes a client of an object in this process, for one of its interfaces. The client connects when
/// it is first used.
pub(super) fn client_of(object: &Object, interface: &'static Description) -> Result<Client> {
    Ok(Client::served(Arc::new(ServedObject::without_server(object.clone())?), interface))
}

/// Makes a client of an object that shares no threads, quotas or statistics with other objects.
pub(super) fn isolated(object: &Object, interface: &'static Description) -> Result<Client> {
    Ok(Client::served(Arc::new(ServedObject::alone(object.clone())?), interface))
}

/// Serves an object in an event loop of the program.
pub(super) fn serve_in(
    source: &ServerEventSource,
    object: Object,
    interface: &'static Description,
) -> Result<Client> {
    Ok(Client::served(Arc::new(source.serve_object(object)?), interface))
}

/// Serves an object from the server of a call.
pub(super) fn serve(
    context: &Context,
    object: Object,
    interface: &'static Description,
) -> Result<Client> {
    Ok(Client::served(Arc::new(ServedObject::of_call(&context.0, object)?), interface))
}
