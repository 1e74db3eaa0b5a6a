//! Objects of this process, with the same client type as objects of other processes.

use std::sync::Arc;

use crate::class::{Implements, Interface, Object, Proxy};
use crate::server::Context;
use crate::{Error, Result};

cfg_if::cfg_if! {
    if #[cfg(windows)] {
        mod windows;

        use windows as system;
    } else {
        mod linux;

        use linux as system;
    }
}

/// Makes a client of an object in this process: for tests of code that uses an interface, and to
/// pass an object to a server (a callback).
///
/// The object has only this interface, so `cast` fails for every other one.
/// [`Class::in_process`](crate::class::Class::in_process) makes an object with all interfaces of a
/// class.
///
/// On Linux, calls go through the kernel and are checked as between processes. All objects of a
/// process share a few threads, which end with the last object, and the limits of one server. An
/// object takes one descriptor for each reference to it. On Windows, values are encoded,
/// and handles are duplicated and verified, as between processes. COM is involved only after the
/// reference is passed to another process.
///
/// # Errors
/// No handle, or no thread, left.
pub fn in_process<I, T>(implementation: T) -> Result<I::Proxy>
where
    I: Interface + Implements<T> + ?Sized,
{
    client_of(&Object::new().with::<I, T>(&Arc::new(implementation)))
}

/// Makes a client of an object in this process, for one of its interfaces.
pub(crate) fn client_of<P: Proxy>(object: &Object) -> Result<P> {
    let interface = P::Interface::DESCRIPTION;
    object.require(interface)?;
    system::client_of(object, interface).map(P::from_client)
}

/// Makes a client of an object in this process that shares no threads, quotas or statistics with
/// other objects, for the context of a test.
pub(crate) fn isolated<P: Proxy>(object: &Object) -> Result<P> {
    system::isolated(object, P::Interface::DESCRIPTION).map(P::from_client)
}

impl Context {
    /// Serves an object from this server and returns a reference to it. The method returns the
    /// reference to the client or passes it to others. The object is released with the last
    /// reference, and keeps the server alive until then.
    ///
    /// # Errors
    /// [`ErrorKind::System`](crate::ErrorKind::System) if no handle is left. On Linux,
    /// [`ErrorKind::Busy`](crate::ErrorKind::Busy) at the limit of references. If the method returns
    /// the error, its caller gets the same kind.
    pub fn serve<I, T>(&self, implementation: T) -> Result<I::Proxy>
    where
        I: Interface + Implements<T> + ?Sized,
    {
        let object = Object::new().with::<I, T>(&Arc::new(implementation));
        let client = system::serve(self, object, I::DESCRIPTION);
        client.map(I::Proxy::from_client).map_err(Error::of_context)
    }
}
