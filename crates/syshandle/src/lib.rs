//! Method calls between processes on one machine that carry kernel objects — files, events, shared
//! memory, processes, sockets — as ordinary typed parameters.
//!
//! The one idea: an interface is a trait. From it come the server's side, which *owns* the handles
//! that it receives, and a client, which *lends* those that it passes. What arrives is proven in
//! the kernel to be what the trait declares before any code of yours sees it; the server starts
//! with the first call, and ends when nobody needs it.
//!
//! ```
//! use std::fs::File;
//! use syshandle::{interface, Event, Result};
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
//!     "Stamper::stamp: parameter `file`: wanted write, got a device with read"
//! );
//! # Ok(())
//! # }
//! ```
//!
//! Reading order: [`interface`] and [`class!`] describe, [`Server`] serves, the generated client's
//! `activate` calls; [`Context`] has what a method may want besides, [`Error`] what can go wrong.
//!
//! What it deliberately doesn't do: reach other machines, keep objects by number, retry what may
//! have run, narrow a handle behind your back.

// The macros name this crate by its name, here too.
extern crate self as syshandle;

mod class;
mod error;
pub mod generated;
pub mod mark;
mod proxy_dll;
#[cfg(feature = "serde")]
mod serde_value;
mod site;

// What each platform owes: `Client`, `Server` and what they do, under the same names.
cfg_if::cfg_if! {
    if #[cfg(windows)] {
        #[path = "windows/activation.rs"]
        mod activation;
        #[path = "windows/arrived.rs"]
        mod arrived;
        #[path = "windows/buffer.rs"]
        mod buffer;
        #[path = "windows/client/mod.rs"]
        mod client;
        #[path = "windows/in_process.rs"]
        mod in_process;
        #[path = "windows/life.rs"]
        mod life;
        #[path = "windows/registration.rs"]
        mod registration;
        #[path = "windows/server/mod.rs"]
        mod server;
        #[path = "windows/turns.rs"]
        mod turns;

        pub use activation::Activation;
        pub use registration::{Registered, RegisteredProxy, Registry};
        pub use server::{Context, Outcome, Server};
    } else {
        mod activation;
        mod arrived;
        mod buffer;
        mod client;
        mod door;
        mod in_process;
        mod link;
        mod server;
        mod spin;
        mod sync;

        pub use activation::{
            Activation, Locations, Lock, Meeting, Registered, RegisteredClass, Registration,
        };
        pub use client::Pending;
        pub use server::{Context, Outcome, Policy, Server};
        #[cfg(feature = "tokio")]
        pub use syshandle_os::asynchronous;
        pub use syshandle_os::{
            Filesystems, JobWatch, Narrow, Readiness, SectionView, Seqpacket, UnsealedSection,
            identify_with, prove_with,
        };
    }
}

pub use class::{Class, ClassInfo, Implements, Interface, Object, Proxy, Serves};
pub use client::{Cancel, Client};
pub use error::{CallError, Error, ErrorKind, Ran, Result, WrongHandle};
pub use in_process::in_process;
#[cfg(feature = "serde")]
pub use serde_value::Serde;
pub use syshandle_macros::{Decode, Encode, class, interface};
pub use syshandle_os::{
    Borrowed, BorrowedHandle, Composition, Credentials, Declared, Directory, Event, Facts, Handle,
    Job, Kind, Kinds, ManualEvent, Mismatch, Mutex, MutexGuard, Object as KernelObject,
    OwnedHandle, Process, RegKey, Rights, Section, SectionMap, Semaphore, Sockets, Thread, Timer,
    Token, Unproven, Waitable, Wanted, identify, prove, wait_all, wait_any,
};
pub use syshandle_wire::{Decode, Describe, Encode, Fault, Guid, ParseGuidError, describe};
