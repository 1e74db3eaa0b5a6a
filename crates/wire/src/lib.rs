//! The wire protocol of syshandle: frames, the handshake, faults, and the two ends of a connection.
//!
//! The crate consists of pure functions on bytes and handles: no I/O, no threads, no clock, no
//! `unsafe`. A *driver* in another crate sends and receives the frames, proves handles by kernel
//! queries, and acts on the results of [`ClientEnd`] and [`ServerEnd`]. `syshandle-types` encodes
//! the values in messages. `docs/wire.md` specifies the protocol byte by byte.
//!
//! Suggested reading order: [`Header`], the start of each frame; [`Greeting`] and [`Hello`], which
//! open a connection, and the [`Versions`] and [`Features`] in them; [`ClientEnd`] and [`ServerEnd`],
//! which enforce the rules of a connection; [`WrittenStreams`] and [`ReadStreams`], which do so for
//! its streams; [`Fault`], an error that one side's runtime reports to the other.

mod arena;
mod client_end;
mod core_hint;
mod entries;
mod fault;
mod frame;
mod greeting;
mod negotiation;
mod one_way;
mod pending_releases;
mod released_objects;
mod ring;
mod server_end;
mod slot_notes;
mod streams;

pub use arena::Ranges;
pub use client_end::{ClientEnd, ClientEndEvent, OpenError, StartError};
pub use core_hint::CoreHint;
pub use entries::{Entries, Entry, MessageEntries, SlotId};
pub use fault::{Fault, MethodError};
pub use frame::{Body, FrameKind, Header, Releases, Status, Violation};
pub use greeting::{Greeting, Hello, Offer};
pub use negotiation::{Features, Versions};
pub use released_objects::ReleasedObjects;
pub use ring::{RingEnd, RingEvent, RingLayout, RingSide, Transport};
pub use server_end::{ServerEnd, ServerEndEvent};
pub use slot_notes::{SlotNote, SlotNotes};
pub use streams::{
    Credit, ReadStreams, ReaderEvent, StreamFrame, TakenCredit, WriterEvent, WrittenStreams,
};
