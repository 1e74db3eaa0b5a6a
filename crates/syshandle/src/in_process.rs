//! Objects of this process, with the same client type as objects of other processes.

use std::sync::Arc;

use crate::class::{Class, ClassInfo, Implements, Interface, Proxy, Serves};
use crate::server::Context;
#[cfg(not(windows))]
use crate::server::ServerEventSource;
use crate::untyped_object::Object;
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
fn client_of<P: Proxy>(object: &Object) -> Result<P> {
    let interface = P::Interface::DESCRIPTION;
    object.require(interface)?;
    system::client_of(object, interface).map(P::from_client)
}

/// Makes a client of an object in this process that shares no threads, quotas or statistics with
/// other objects, for the context of a test.
pub(crate) fn isolated<P: Proxy>(object: &Object) -> Result<P> {
    system::isolated(object, P::Interface::DESCRIPTION).map(P::from_client)
}

impl<C: ClassInfo> Class<C> {
    /// Creates an object of this class in this process, and returns a client of one of its
    /// interfaces. `cast` gives access to the other interfaces. This function is meant for tests,
    /// and for passing own objects to a server.
    ///
    /// ```
    /// # use syshandle::{Error, ErrorKind, Result, class, interface};
    /// # #[interface(iid = "0b7a0f0e-5d1b-4f5e-8f0a-6f8f3c1c2a31")]
    /// # pub trait Reader { fn read(&self) -> Result<u64>; }
    /// # #[interface(iid = "0b7a0f0e-5d1b-4f5e-8f0a-6f8f3c1c2a32")]
    /// # pub trait Writer { fn write(&self, value: u64) -> Result<()>; }
    /// # class! { CELL: Reader + Writer = "7c1e1f6a-2f0b-4f0d-9d3e-52f1f5a7b931"; }
    /// # struct Fake;
    /// # impl Reader for Fake { fn read(&self) -> Result<u64> { Ok(7) } }
    /// # impl Writer for Fake {
    /// #     fn write(&self, _: u64) -> Result<()> {
    /// #         Err(Error::new(ErrorKind::Busy, "somebody else writes").refused())
    /// #     }
    /// # }
    /// # fn main() -> Result<()> {
    /// let reader: ReaderClient = CELL.in_process(Fake)?;
    /// assert_eq!(reader.read()?, 7);
    /// let writer: WriterClient = reader.cast()?;
    /// assert_eq!(writer.write(8).unwrap_err().kind(), ErrorKind::Busy);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchInterface`](crate::ErrorKind::NoSuchInterface) if the class does not have
    /// the interface of `P`; an error of the system if no descriptor or thread is available.
    pub fn in_process<P: Proxy, T>(self, implementation: T) -> Result<P>
    where
        C: Serves<T>,
    {
        client_of(&C::object(implementation))
    }
}

#[cfg(not(windows))]
impl ServerEventSource {
    /// Serves an object in this event loop and returns a reference to it, which the program passes
    /// to other processes: a callback. The object is released with the last reference, and keeps
    /// the server alive until then.
    ///
    /// A call of this process on the reference blocks its thread. If that is the thread of the event
    /// loop, the call times out.
    ///
    /// # Errors
    /// [`ErrorKind::System`](crate::ErrorKind::System) if no descriptor is left.
    pub fn serve<I, T>(&self, implementation: T) -> Result<I::Proxy>
    where
        I: Interface + Implements<T> + ?Sized,
    {
        let object = Object::new().with::<I, T>(&Arc::new(implementation));
        system::serve_in(self, object, I::DESCRIPTION).map(I::Proxy::from_client)
    }
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
