//! Objects of this process, behind the same client type as those of others.

use std::sync::Arc;

use crate::client::own::Own;
use crate::server::activity::Activity;
use crate::server::objects::Object;
use crate::{Client, Implements, Interface, Proxy, Result};

/// Makes a client of an object in this process: for tests of code that uses an interface, and to pass
/// an object to a server.
///
/// The object has this one interface, and `cast` reaches no other.
/// [`Class::in_process`](crate::Class::in_process) makes one that has all interfaces of a class.
///
/// Values are encoded and handles duplicated and proven as between processes; COM has a part in it
/// once the reference is passed to another process.
///
/// # Errors
/// No handle, or no thread, left.
pub fn in_process<I, T>(implementation: T) -> Result<I::Client>
where
    I: Interface + Implements<T> + ?Sized,
{
    let object = crate::Object::new().with::<I, T>(&Arc::new(implementation));
    client_of(&object)
}

/// A client of an object in this process, by one of its interfaces.
pub(crate) fn client_of<P: Proxy>(object: &crate::Object) -> Result<P> {
    client_within(object, &Activity::new())
}

/// The same of an object that keeps a server alive.
pub(crate) fn client_within<P: Proxy>(
    object: &crate::Object,
    activity: &Arc<Activity>,
) -> Result<P> {
    let interface = P::Interface::DESCRIPTION;
    let object = Object::new(object.clone(), activity, None)?;
    let own = Own::new(Arc::new(object), interface)?;
    Ok(P::from_client(Client::own(own, interface)))
}
