//! Types of interfaces and classes, whose traits generated code implements.

use std::marker::PhantomData;
use std::sync::Arc;

use syshandle_types::{Guid, describe};

#[cfg(feature = "tokio")]
use crate::async_object::AsyncObject;
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
    /// Converts an implementation to a part of an object.
    #[doc(hidden)]
    fn serve(implementation: Arc<T>) -> ServedInterface;
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
        self.add(I::serve(implementation.clone()).0);
        self
    }
}

/// An interface of an object, without its type. Generated code makes it.
pub struct ServedInterface(Arc<dyn AnyInterface>);

impl ServedInterface {
    /// Serves an interface with plain methods.
    pub fn new<I: Interface + ?Sized>(object: Arc<I>) -> Self {
        Self(Arc::new(TypedInterface(ForeignValue::new(object))))
    }

    /// Serves an interface with asynchronous methods. `dispatch` starts a call.
    #[cfg(feature = "tokio")]
    pub fn asynchronous<I: Interface + ?Sized, T: Send + Sync + 'static>(
        object: Arc<AsyncObject<T>>,
        dispatch: fn(&AsyncObject<T>, IncomingCall<'_>),
    ) -> Self {
        let (description, object) = (I::DESCRIPTION, ForeignValue::new(object));
        Self(Arc::new(AsyncInterface { description, object, dispatch }))
    }
}

impl std::fmt::Debug for ServedInterface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ServedInterface").field(&self.0.description().name).finish()
    }
}

/// An object of the program with asynchronous methods.
#[cfg(feature = "tokio")]
struct AsyncInterface<T> {
    description: &'static describe::Interface,
    object: ForeignValue<Arc<AsyncObject<T>>>,
    dispatch: fn(&AsyncObject<T>, IncomingCall<'_>),
}

#[cfg(feature = "tokio")]
impl<T: Send + Sync + 'static> AnyInterface for AsyncInterface<T> {
    fn description(&self) -> &'static describe::Interface {
        self.description
    }

    fn dispatch(&self, call: IncomingCall<'_>) {
        (self.dispatch)(&self.object, call);
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
