//! Objects of this process, with the same client type as objects of other processes.

use std::sync::Arc;

use crate::Result;
use crate::class::{Implements, Interface, Proxy};
use crate::client::Client;
use crate::client::local_object::LocalObject;
use crate::server::activity::Activity;
use crate::server::objects::ComObject;

/// Makes a client of an object in this process: for tests of code that uses an interface, and to
/// pass an object to a server.
///
/// The object has only this interface, so `cast` fails for every other one.
/// [`Class::in_process`](crate::class::Class::in_process) makes an object with all interfaces of a class.
///
/// Values are encoded, and handles are duplicated and verified, as between processes. COM is
/// involved only after the reference is passed to another process.
///
/// # Errors
/// No handle, or no thread, left.
pub fn in_process<I, T>(implementation: T) -> Result<I::Proxy>
where
    I: Interface + Implements<T> + ?Sized,
{
    let object = crate::class::Object::new().with::<I, T>(&Arc::new(implementation));
    client_of(&object)
}

/// Makes a client of an object in this process, for one of its interfaces.
pub(crate) fn client_of<P: Proxy>(object: &crate::class::Object) -> Result<P> {
    client_within(object, &Activity::new())
}

/// Makes a client of an object whose references keep a server alive.
pub(crate) fn client_within<P: Proxy>(
    object: &crate::class::Object,
    activity: &Arc<Activity>,
) -> Result<P> {
    let interface = P::Interface::DESCRIPTION;
    let object = ComObject::new(object.clone(), activity, None)?;
    let own = LocalObject::new(Arc::new(object), interface)?;
    Ok(P::from_client(Client::own(own, interface)))
}
