//! Types of interfaces, classes and objects.

use std::marker::PhantomData;
use std::sync::Arc;

use syshandle_types::{Guid, describe};
use syshandle_wire::Offer;

use crate::client::Client;
use crate::guard::ForeignValue;
use crate::server::IncomingCall;
use crate::{Error, ErrorKind, Result};

/// Seals the traits that the runtime relies on: only types that the macros generate implement them.
#[diagnostic::on_unimplemented(
    message = "only the macros of syshandle implement this trait, and not for `{Self}`",
    note = "`#[interface]` makes interfaces and their clients, and `class!` makes classes"
)]
pub trait Sealed {}

/// Seals the traits with a type parameter `T` ([`Implements`] and [`Serves`]). The macros implement
/// this trait for each `T` that implements the interfaces.
pub trait SealedFor<T> {}

/// An interface. Sealed: [`interface`](crate::interface) implements this trait for `dyn Trait`.
pub trait Interface: Sealed + Send + Sync + 'static {
    /// The type of its client.
    type Proxy: Proxy<Interface = Self>;

    /// The description of the interface, for tools.
    const DESCRIPTION: &'static describe::Interface;

    /// Runs the method of a call.
    #[doc(hidden)]
    fn dispatch(&self, call: IncomingCall<'_>);
}

/// Implemented if `T` implements the interface `Self`. Sealed: [`interface`](crate::interface)
/// implements this trait.
pub trait Implements<T>: Interface + SealedFor<T> {
    /// Converts an implementation to a trait object of this interface.
    fn object(implementation: Arc<T>) -> Arc<Self>;
}

/// The client of an interface. Sealed: [`interface`](crate::interface) implements this trait for
/// the client that it generates.
pub trait Proxy: Sealed + Sized {
    /// The interface of this client.
    type Interface: Interface<Proxy = Self> + ?Sized;

    /// Wraps an untyped reference. The object is known to have this interface.
    #[doc(hidden)]
    fn from_client(client: Client) -> Self;

    /// Returns the untyped reference.
    fn as_client(&self) -> &Client;
}

/// The asynchronous client of an interface. Sealed: [`interface`](crate::interface) implements this
/// trait for the `…AsyncClient` that it generates.
pub trait AsyncProxy: Sealed + Sized {
    /// Wraps a reference to an object that is known to have the interface.
    #[doc(hidden)]
    fn from_client(client: Client) -> Self;

    /// Returns the untyped reference.
    fn as_client(&self) -> &Client;
}

/// A class, which a server offers and a client activates. Created by [`class!`](crate::class).
pub struct Class<C>(PhantomData<fn() -> C>);

impl<C: ClassInfo> Class<C> {
    /// Creates the value that stands for the class.
    #[doc(hidden)]
    pub const fn new() -> Self {
        Self(PhantomData)
    }

    /// Returns the CLSID of the class.
    pub const fn clsid(self) -> Guid {
        C::CLSID
    }

    /// Returns the name of the class.
    pub const fn name(self) -> &'static str {
        C::NAME
    }

    /// Returns the interfaces of the class.
    pub const fn interfaces(self) -> &'static [&'static describe::Interface] {
        C::INTERFACES
    }
}

impl<C> Clone for Class<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Class<C> {}

impl<C: ClassInfo> std::fmt::Debug for Class<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", C::NAME, C::CLSID)
    }
}

/// The constants of a class. Sealed: [`class!`](crate::class) implements this trait.
pub trait ClassInfo: Sealed + 'static {
    /// CLSID of the class.
    const CLSID: Guid;
    /// Name of the class.
    const NAME: &'static str;
    /// Interfaces of the class.
    const INTERFACES: &'static [&'static describe::Interface];
    /// The mark by which `syshandle register` finds the class in a server's program.
    #[doc(hidden)]
    const MARK: &'static [u8];
}

/// Implemented if `T` implements the traits of all interfaces of the class `Self`. Sealed:
/// [`class!`](crate::class) implements this trait.
pub trait Serves<T>: ClassInfo + SealedFor<T> {
    /// Creates the object.
    fn object(implementation: T) -> Object;
}

/// A class that a server serves.
pub(crate) struct ServedClass {
    pub(crate) clsid: Guid,
    pub(crate) interfaces: &'static [&'static describe::Interface],
    pub(crate) make: Factory,
}

/// Creates the object for a client that activates the class.
pub(crate) type Factory = Box<dyn Fn() -> Object + Send + Sync>;

/// An object, with one or more interfaces.
#[derive(Clone, Default)]
pub struct Object(Vec<Arc<dyn AnyInterface>>);

impl Object {
    /// Creates an object without interfaces.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an interface to the object.
    #[must_use]
    pub fn with<I: Implements<T> + ?Sized, T>(mut self, implementation: &Arc<T>) -> Self {
        self.0.push(Arc::new(TypedInterface(ForeignValue::new(I::object(implementation.clone())))));
        self
    }

    /// Returns one of the object's interfaces.
    pub(crate) fn interface(&self, iid: Guid) -> Option<Arc<dyn AnyInterface>> {
        self.0.iter().find(|interface| interface.description().iid == iid).cloned()
    }

    /// Checks that the object has an interface.
    pub(crate) fn require(&self, interface: &describe::Interface) -> Result<()> {
        match self.interface(interface.iid) {
            Some(_) => Ok(()),
            None => Err(no_interface(interface, self.descriptions())),
        }
    }

    /// Returns the descriptions of the object's interfaces, in order.
    pub(crate) fn descriptions(&self) -> impl Iterator<Item = &'static describe::Interface> {
        self.0.iter().map(|interface| interface.description())
    }

    /// Returns the interfaces of this object in the form in which a greeting lists them.
    #[cfg_attr(windows, expect(dead_code, reason = "COM has no greeting"))]
    pub(crate) fn offers(&self) -> Vec<Offer> {
        let offer = |iid| Offer { clsid: Guid::NIL, iid };
        self.0.iter().map(|interface| offer(interface.description().iid)).collect()
    }
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|interface| interface.description().name)).finish()
    }
}

/// Returns the error of an object that has the interfaces `has`, but not the wanted one.
pub(crate) fn no_interface(
    wanted: &describe::Interface,
    has: impl Iterator<Item = &'static describe::Interface>,
) -> Error {
    let names: Vec<_> = has.map(|has| format!("`{}`", has.name)).collect();
    let mut text =
        format!("the object has no interface `{}`, only {}", wanted.name, names.join(", "));
    if names.len() == 1 {
        text.push_str(": `CLASS.in_process(…)` makes an object with all interfaces of its class");
    }
    Error::detected(ErrorKind::NoSuchInterface, text)
}

/// An interface of an object, without the type of the interface.
pub(crate) trait AnyInterface: Send + Sync {
    fn description(&self) -> &'static describe::Interface;

    fn dispatch(&self, call: IncomingCall<'_>);
}

/// An object of the program. Its destructor is foreign code and may panic.
struct TypedInterface<I: ?Sized>(ForeignValue<Arc<I>>);

impl<I: Interface + ?Sized> AnyInterface for TypedInterface<I> {
    fn description(&self) -> &'static describe::Interface {
        I::DESCRIPTION
    }

    fn dispatch(&self, call: IncomingCall<'_>) {
        self.0.dispatch(call);
    }
}
