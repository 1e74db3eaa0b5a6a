//! Types of interfaces and classes, whose traits generated code implements.

use std::marker::PhantomData;
use std::sync::Arc;

use syshandle_types::{Guid, describe};

use crate::client::Client;
use crate::guard::ForeignValue;
use crate::server::IncomingCall;
use crate::untyped_object::{AnyInterface, Object};

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

impl Object {
    /// Adds an interface to the object.
    #[must_use]
    pub fn with<I: Implements<T> + ?Sized, T>(mut self, implementation: &Arc<T>) -> Self {
        let interface = I::object(implementation.clone());
        self.add(Arc::new(TypedInterface(ForeignValue::new(interface))));
        self
    }
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
