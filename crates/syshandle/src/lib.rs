//! Method calls between processes on one machine that carry kernel objects — files, events, shared
//! memory, processes, sockets — as ordinary typed parameters.
//!
//! An interface is a trait. The macro [`interface`] generates both sides from it: on the server's
//! side, methods *own* the handles that they receive; a client *lends* the handles that it passes.
//! Before any of your code sees a received handle, the runtime verifies its kind and rights by
//! asking the kernel. A server starts with the first call, and ends when it has been unused for a
//! while.
//!
//! ```
//! use std::fs::File;
//! use syshandle::{interface, Result, handle::Event};
//!
//! #[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
//! pub trait Stamper {
//!     /// Stamps a file when the event is set.
//!     fn stamp(&self, #[handle(file, write)] file: File, when: Event) -> Result<Event>;
//! }
//!
//! struct Office;
//!
//! impl Stamper for Office {
//!     fn stamp(&self, file: File, when: Event) -> Result<Event> {
//!         drop((file, when)); // Owned: kept by moving them, closed by not keeping them.
//!         Ok(Event::new()?)
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let stamper = StamperClient::in_process(Office)?;
//! let null = File::options().write(true).open("/dev/null")?;
//! let done: Event = stamper.stamp(&null, &Event::new()?)?; // Lent.
//!
//! let unwritable = File::open("/dev/null")?;
//! let error = stamper.stamp(&unwritable, &done).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "Stamper::stamp: parameter `file`: expected write, got a device with read"
//! );
//! # Ok(())
//! # }
//! ```
//!
//! Reading order: [`interface`] and [`class!`] declare interfaces and classes, [`Server`] serves
//! classes, and `activate` of the generated client connects to them. [`Context`] tells a method
//! about its call and starts background tasks. [`ErrorKind`] lists everything that can fail.
//!
//! Features, both off by default: `tokio` drives asynchronous clients (`…AsyncClient`), runs `async
//! fn` methods of servers (`tokio::AsyncObject`) and adds waits for objects, `serde` adds `Serde<T>` for values of types that only support serde.
//!
//! By design this crate does not call other machines, does not refer to objects by number, does not
//! repeat a call that may have run, and does not reduce the rights of a handle implicitly.

// The macros refer to this crate as `::syshandle`, also inside this crate.
extern crate self as syshandle;

mod activation;
#[cfg(feature = "tokio")]
mod async_object;
#[cfg(feature = "tokio")]
mod background;
mod buffer;
mod class;
mod client;
mod error;
#[doc(hidden)]
pub mod generated;
mod guard;
mod in_process;
mod limits;
mod log;
mod method_ref;
#[cfg(not(windows))]
mod one_way;
mod proxy_dll;
mod received_handles;
mod registered;
#[cfg(feature = "serde")]
mod serde_value;
mod server;
pub mod stream;
pub mod testing;
mod untyped_object;
mod withdrawal;

/// Running servers: their end, and their statistics.
pub mod serving {
    #[cfg(not(windows))]
    pub use crate::server::ServerEventSource;
    pub use crate::server::{
        CallStats, QuotaOwner, QuotaStats, RefusalStats, RunningServer, ServerRef, ServerStats,
        Usage,
    };
    pub use crate::withdrawal::Withdrawal;
}

// The modules above exist on every platform. The modules below exist on one platform only.
cfg_if::cfg_if! {
    if #[cfg(windows)] {
        mod call_target;
        mod class_locks;
        mod received_reference;
        mod server_status;
        mod stand_in;
    } else {
        mod arena;
        mod batch;
        mod descriptions;
        pub mod direct;
        mod door;
        mod idle_exit;
        mod in_flight;
        mod link;
        mod peer_socket;
        mod quota;
        mod send_error;
        mod setup;
        mod slots;
        mod spin;
        mod untyped_connecting;
        mod untyped_stream;
        mod wait_mode;
        #[cfg(not(test))]
        mod sync;
        #[cfg(test)]
        mod test_sync;

        #[cfg(test)]
        use test_sync as sync;

        pub use syshandle_registry::{Policy, Registry};
    }
}

pub use activation::{Activation, activate};
pub use client::Client;
pub use client::cancel::Cancel;
pub use error::call_error::CallError;
pub use error::{Error, ErrorKind, Result};
pub use in_process::in_process;
#[cfg(feature = "serde")]
pub use serde_value::Serde;
pub use server::{Context, Server};
/// Decodes a value from a message. See [`Encode`].
pub use syshandle_macros::Decode;
/// Encodes a value into a message. Derive it for your structs and enums, with handles in any field.
///
/// ```
/// use std::fs::File;
/// use syshandle::{Decode, Encode, handle::Process};
///
/// #[derive(Encode, Decode)]
/// struct Order {
///     #[handle(file, read)]
///     input: File,
///     #[range(1..=9)]
///     copies: u8,
///     note: Option<String>,
/// }
///
/// // Carries one of three values. The receiver matches on the variant.
/// #[derive(Encode, Decode)]
/// enum Source {
///     Path(String),
///     Opened(#[handle(file, read)] File),
///     WrittenBy(Process),
/// }
/// ```
///
/// # Types that grow
///
/// Fields are encoded in their order, and a variant as its index. A receiver with another version of
/// the type can't read such a value. With `#[grows]` it can, so write that attribute before a type
/// that may change later, and before you publish the type. It takes eight more bytes for each value.
///
/// Before:
///
/// ```
/// # use syshandle::{Decode, Encode};
/// #[derive(Encode, Decode)]
/// #[grows]
/// pub struct Job {
///     pub title: String,
/// }
/// #[derive(Encode, Decode)]
/// #[grows]
/// pub enum Paper {
///     A4,
///     #[unknown]
///     Unknown,
/// }
/// ```
///
/// After:
///
/// ```
/// # use syshandle::{Decode, Encode, handle::Event};
/// #[derive(Encode, Decode)]
/// #[grows]
/// pub struct Job {
///     pub title: String,
///     #[added(default = 1)]
///     pub copies: u32,
///     #[added(required)]
///     pub pages_max: Option<u32>,
///     #[added]
///     pub done: Option<Event>,
/// }
/// #[derive(Encode, Decode)]
/// #[grows]
/// pub enum Paper {
///     A4,
///     A3,
///     #[unknown]
///     Unknown,
/// }
///
/// let job = Job::new("poster".to_owned()).with_copies(2);
/// assert_eq!((job.copies, job.pages_max), (2, None));
/// ```
///
/// - **`#[added]`**: a later version added the field. It comes after all fields of the first
///   version. If a sender doesn't know the field, the receiver gets its default, which must also be
///   within the `#[range(…)]` of the field. A receiver that doesn't know the field ignores it, but
///   refuses a value that has a handle in it.
/// - **`#[added(required)]`**: a receiver that doesn't know the field refuses a value in which the
///   field differs from its default. Write it for a field that limits something.
/// - **`#[unknown]`**: the variant for all variants that a receiver doesn't know. It has no data,
///   can't be sent, and is refused in keys of maps and items of sets.
/// - The derive generates `new` for a struct, which takes the fields of the first version, and a
///   setter `with_…` for each added field. Add `#[non_exhaustive]` to a public struct, so that other
///   crates use these functions, and still compile after the next addition.
///
/// A value that is refused fails its call, which does not run
/// ([`ErrorKind::Incompatible`]). `syshandle idl diff` checks a change.
///
/// # Other types
///
/// A type without `#[grows]` changes only together with its interface. Only a variant at the end of
/// an enum is possible, if old programs never receive it. [`interface`] explains `#[handle(…)]` and `#[range(…)]`,
/// and `#[syshandle(crate = my_sdk::syshandle)]` for a crate that uses a re-export of this library.
pub use syshandle_macros::Encode;
/// Turns a trait into an interface: generates its client (`…Client`), and the code that a server
/// needs.
///
/// ```
/// use std::fs::File;
/// use syshandle::{Context, Result, interface, handle::{OwnedHandle, Section}};
///
/// #[interface(iid = "6f0f7c2e-6a0c-4f0e-9d55-3c1b8a7e4d10")]
/// pub trait Broker {
///     /// Takes a file that can be read. The file may have other rights too.
///     fn read(&self, #[handle(file, read)] file: File) -> Result<u64>;
///     /// Takes a file that can be read and can't be written.
///     fn only_read(&self, #[handle(file, read, at_most = read)] file: File) -> Result<()>;
///     /// Takes a regular file: no device, and no file of `/proc` or `/sys`, whose read may never end.
///     fn copy(&self, #[handle(file(regular), read)] file: File) -> Result<()>;
///     /// Takes a file or a pipe.
///     fn either(&self, #[handle(file | pipe, write)] sink: OwnedHandle) -> Result<()>;
///     /// Takes a stream socket of one of two families.
///     fn talk(&self, #[handle(socket(unix_stream | tcp_stream))] peer: OwnedHandle) -> Result<()>;
///     /// Takes bytes that no process can change any more, and a number within bounds.
///     fn show(
///         &self,
///         #[handle(section, at_most = read | map)] picture: Section,
///         #[range(1..=4096)] width: u32,
///     ) -> Result<()>;
///     /// Returns a file that can be read. The attribute before the method declares the result, and
///     /// `context` describes the call and its caller.
///     #[handle(file, read)]
///     fn log(&self, context: &Context) -> Result<File>;
/// }
/// ```
///
/// - **`#[handle(kinds, rights, at_most = rights)]`**: the permitted kinds ([`Kind`](handle::Kind))
///   with `|` between them, the rights ([`Rights`](handle::Rights)) that a handle must have, and
///   the rights that it may have at most. Each type of handle already declares its own kind, and
///   the attribute can only restrict that. Without the attribute, an
///   [`OwnedHandle`](handle::OwnedHandle) may be of any kind.
/// - **`#[range(1..=9)]`**: the bounds of a number, of the number of items, of the length of a text
///   in UTF-16 units, or of the discriminant of an enum.
/// - **`#[blocking]`** on a method: the server always runs it on a worker thread, so that it delays
///   no other client. A server learns which other methods are slow, but until then each of them may
///   delay the clients of one event loop by two milliseconds.
/// - **`#[oneway]`** on a method: a call of it has no reply and returns when it is sent. Such a
///   method has no result, or returns `Result<()>`. A later call of the object starts after the
///   method has ended. `flush_one_way` of the client returns the first failure. On Windows such a
///   call is an ordinary one.
/// - Methods are numbered in their order, so add new ones at the end. They take `&self`, optionally
///   `&Context`, then the parameters. They return [`Result`], or a `std` `Result` with an error
///   type of their own.
/// - With the feature `tokio`, the macro also generates a trait `FooAsync` for servers, whose methods
///   are `async fn`. The type `tokio::AsyncObject` runs them as tasks of a runtime. The parameters
///   must be `Send` then.
/// - A method with an error type `E` of its own returns `Result<T, CallError<E>>` if it may also
///   refuse a call ([`Error::refused`]) or fail with an [`Error`]. Its client's method returns the
///   same type in either case, and the calls look the same on the wire.
/// - A method may have documentation and the attributes `#[handle(…)]` (for the result),
///   `#[blocking]`, `#[oneway]`, `#[deprecated]`, `#[must_use]`, `#[allow(…)]` and
///   `#[expect(…)]`. `#[cfg(…)]` is an error, because both sides must number the methods in the same way.
/// - **`#[interface(iid = "…", crate = my_sdk::syshandle)]`**: the path of this library, for a
///   crate that uses it as a re-export of another crate. It may also be a string, as for serde. The
///   derive macros read it from `#[syshandle(crate = my_sdk::syshandle)]` before the type.
///   [`class!`] and [`proxy_dll!`] need no path.
/// - To return an object and also keep it, such as an event that the method sets later, return an
///   `Arc<Event>`. The client's method returns an [`Event`](handle::Event).
///
/// The server's method owns its parameters, the client's method borrows them:
///
/// | the trait says | the client takes |
/// |---|---|
/// | `u32`, `f64`, `bool`, `char` … | the same |
/// | `String` | `&str` |
/// | `Vec<T>` | `&[T]` |
/// | `PathBuf` | `&Path` |
/// | `Option<T>` | an `Option` of what it takes for `T`: `Option<&str>`, `Option<&File>` |
/// | `Box<T>`, `Arc<T>` | what it takes for `T` |
/// | [`Stream<T>`](stream::Stream) | the same, because the call takes the stream |
/// | `File`, `Event`, `FooClient`, structs, enums, tuples, arrays, maps, `Duration`, `SystemTime`, `IpAddr` | `&T` |
///
/// The type decides, not its name: an alias `Bytes` of `Vec<u8>` is lent as `&[u8]`, and your own
/// type with the name `String` is lent by reference. The documentation of a client shows such a
/// type as [`Argument<'_, T>`](describe::Argument).
///
/// The client returns results with the types of the trait, and a `T` for an `Arc<T>`. For a trait
/// `Foo` the macro generates `FooClient`, with `activate` for a class, `in_process` for an object
/// of this process, `with_timeout`, `with_cancel`, `wait` and `cast`. The other methods of
/// [`Client`] are reached by [`as_client`](object::Proxy::as_client): for instance,
/// `foo.as_client().server()` returns the credentials of the server.
///
/// A client does not reconnect. After its server has crashed, was stopped or was replaced, calls
/// fail with [`ErrorKind::Disconnected`], and `FooClient::activate` connects to the next server,
/// which it starts if necessary. A call that did not run ([`Error::may_have_run`] is `false`) can
/// be repeated. Any other call may be repeated only if running it twice does no harm. Objects that
/// the old server had made, and its background tasks, no longer exist.
///
/// ```
/// use std::sync::Mutex;
/// use syshandle::{CallError, Decode, Encode, Error, ErrorKind, Result, interface};
///
/// #[derive(Debug, Encode, Decode)]
/// pub enum ScanError {
///     PaperJam { tray: u8 },
/// }
///
/// #[interface(iid = "6f0f7c2e-6a0c-4f0e-9d55-3c1b8a7e4d11")]
/// pub trait Scanner {
///     fn scan(&self, tray: u8) -> std::result::Result<Vec<u8>, CallError<ScanError>>;
/// }
///
/// struct Device(Mutex<()>);
///
/// impl Scanner for Device {
///     fn scan(&self, tray: u8) -> std::result::Result<Vec<u8>, CallError<ScanError>> {
///         let Ok(_turn) = self.0.try_lock() else {
///             // The caller learns that its call did not run, and may try again.
///             return Err(Error::new(ErrorKind::Busy, "another client scans").refused().into());
///         };
///         if tray > 2 {
///             return Err(CallError::Method(ScanError::PaperJam { tray }));
///         }
///         Ok(vec![])
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let scanner = ScannerClient::in_process(Device(Mutex::new(())))?;
/// match scanner.scan(3) {
///     Err(CallError::Method(ScanError::PaperJam { tray })) => assert_eq!(tray, 3),
///     Err(CallError::Call(error)) if !error.may_have_run() => println!("try again: {error}"),
///     other => drop(other),
/// }
/// # Ok(())
/// # }
/// ```
pub use syshandle_macros::interface;
pub use syshandle_os::Credentials;
pub use syshandle_types::{Decode, Encode, Guid, Printable, describe};

/// Declares a class: its identifier and its interfaces.
///
/// ```
/// use syshandle::{Result, class, interface};
///
/// #[interface(iid = "0b7a0f0e-5d1b-4f5e-8f0a-6f8f3c1c2a01")]
/// pub trait Counter {
///     fn count(&self) -> Result<u64>;
/// }
///
/// class! { pub COUNTER: Counter = "7c1e1f6a-2f0b-4f0d-9d3e-52f1f5a7b902"; }
/// # let _ = COUNTER;
/// ```
#[macro_export]
macro_rules! class {
    ($($declaration:tt)*) => { $crate::generated::class! { $crate; $($declaration)* } };
}

/// Handles to kernel objects, their kinds and rights, and the proof of both.
pub mod handle {
    pub use syshandle_os::{
        BorrowedHandle, Composition, Declaration, Directory, Event, Facts, Files, Handle,
        HandleRef, Job, Kind, Kinds, ManualEvent, Mismatch, Mutex, MutexGuard,
        Object as KernelObject, OwnedHandle, Process, ProofFailure, RegKey, Requirement, Rights,
        Section, SectionMap, Semaphore, Sockets, Thread, Timer, Token, identify, prove,
    };
    #[cfg(not(windows))]
    pub use syshandle_os::{
        Filesystems, GroupId, JobWatch, Narrow, SectionView, Seqpacket, UnsealedSection, UserId,
        identify_with, prove_with, restore_descriptor_limit,
    };

    pub use crate::error::WrongHandle;
    pub use crate::registered::Registered;
}

/// Waiting for events, processes and other kernel objects, and background tasks with their outcomes.
pub mod wait {
    #[cfg(not(windows))]
    pub use syshandle_os::Readiness;
    pub use syshandle_os::{Waitable, wait_all, wait_any};

    pub use crate::server::{BackgroundTask, Outcome, TimerOutcome};
}

/// Classes and objects, and the traits by which generated code connects them with interfaces.
pub mod object {
    pub use syshandle_types::ParseGuidError;

    pub use crate::class::{AsyncProxy, Class, ClassInfo, Implements, Interface, Proxy, Serves};
    pub use crate::untyped_object::Object;
}

/// Calls in flight, whose results are awaited or waited for later.
pub mod pipeline {
    cfg_if::cfg_if! {
        if #[cfg(windows)] {
            pub use crate::client::windows::pending_call::{PendingCall, pipelined};
        } else {
            pub use crate::client::linux::event_source::EventSource;
            pub use crate::client::linux::pending_call::{PendingCall, pipelined};
        }
    }
}

/// Objects with `async fn` methods, and waits in a tokio program. Every interface also has an
/// asynchronous client, `…AsyncClient`.
#[cfg(feature = "tokio")]
pub mod tokio {
    #[cfg(not(windows))]
    pub use syshandle_os::asynchronous::{wait, wait_all, wait_any};

    pub use crate::async_object::AsyncObject;
}
