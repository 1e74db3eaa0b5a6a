//! Objects of this process, behind the same client type as those of others.

use std::sync::Arc;

use crate::client::own::Own;
use crate::server::activity::Activity;
use crate::server::objects::Object;
use crate::{Client, Implements, Interface, Proxy, Result};

/// A client of an object in this process: for tests of code that uses an interface.
///
/// Values are encoded and handles duplicated and proven as between processes; COM has no part in it.
///
/// # Errors
/// No handle, or no thread, left.
pub fn in_process<I, T>(implementation: T) -> Result<I::Client>
where
    I: Interface + Implements<T> + ?Sized,
{
    let object = crate::Object::new().with::<I, T>(&Arc::new(implementation));
    let object = Object::new(object, &Activity::new(), None)?;
    let own = Own::new(Arc::new(object), I::DESCRIPTION)?;
    Ok(I::Client::from_client(Client::own(own, I::DESCRIPTION)))
}
