//! Objects of this process, behind the same client type as those of others.

use std::sync::Arc;

use crate::client::own::Own;
use crate::server::activity::Activity;
use crate::server::objects::Object;
use crate::{Client, Implements, Interface, Proxy, Result};

/// A client of an object in this process: for tests of code that uses an interface, and to pass an
/// object of one's own to a server.
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
    client_of::<I, T>(implementation, &Activity::new())
}

/// The same of an object that keeps a server alive.
pub(crate) fn client_of<I, T>(implementation: T, activity: &Arc<Activity>) -> Result<I::Client>
where
    I: Interface + Implements<T> + ?Sized,
{
    let object = crate::Object::new().with::<I, T>(&Arc::new(implementation));
    let object = Object::new(object, activity, None)?;
    let own = Own::new(Arc::new(object), I::DESCRIPTION)?;
    Ok(I::Client::from_client(Client::own(own, I::DESCRIPTION)))
}
