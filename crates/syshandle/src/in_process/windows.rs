//! Makes clients of objects of this process without COM.

use std::sync::Arc;

use syshandle_types::describe::Interface as Description;

use crate::Result;
use crate::client::Client;
use crate::client::windows::local_object::LocalObject;
use crate::server::Context;
use crate::server::windows::activity::Activity;
use crate::server::windows::objects::ComObject;
use crate::untyped_object::Object;

/// Makes a client of an object in this process, for one of its interfaces.
pub(super) fn client_of(object: &Object, interface: &'static Description) -> Result<Client> {
    client_within(object, interface, &Activity::in_process())
}

/// Makes a client of an object that shares no threads and statistics with other objects. On Windows
/// no objects of a process share any.
pub(super) fn isolated(object: &Object, interface: &'static Description) -> Result<Client> {
    client_of(object, interface)
}

/// Serves an object from the server of a call, which stays alive until the object is released.
pub(super) fn serve(
    context: &Context,
    object: Object,
    interface: &'static Description,
) -> Result<Client> {
    client_within(&object, interface, context.0.activity())
}

/// Makes a client of an object whose references keep a server alive.
fn client_within(
    object: &Object,
    interface: &'static Description,
    activity: &Arc<Activity>,
) -> Result<Client> {
    let object = ComObject::new(object.clone(), activity, None)?;
    let withdrawal = object.withdrawal();
    let local = LocalObject::new(Arc::new(object), interface)?.of_owner(withdrawal);
    Ok(Client::local(local, interface))
}
