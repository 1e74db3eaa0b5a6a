//! The wire protocol of syshandle: values, frames, limits, and the two ends of a connection.
//!
//! The crate consists of pure functions on bytes and handles: no I/O, no threads, no clock, no
//! `unsafe`. A driver moves messages, proves handles by kernel queries, and acts on the results of
//! [`ClientEnd`] and [`ServerEnd`]. `docs/wire.md` specifies the protocol byte by byte.
//!
//! Reading order: [`Encode`] and [`Decode`] convert between values and bytes with handles.
//! [`Header`] frames messages. [`Greeting`] and [`Hello`] open a connection. [`ClientEnd`] and
//! [`ServerEnd`] enforce its rules. [`Fault`] is an error that one side's runtime reports to the
//! other.

mod arena;
mod client_end;
mod collections;
mod decode;
pub mod describe;
mod due;
mod encode;
mod fault;
mod field_path;
mod frame;
mod greeting;
mod guid;
#[macro_use]
mod handles;
mod limits;
mod measure;
mod payload;
#[cfg_attr(windows, path = "platform/windows.rs")]
#[cfg_attr(not(windows), path = "platform/linux.rs")]
mod platform;
mod printable;
mod server_end;
mod values;
mod whereabouts;

pub use arena::{BodySize, Ranges};
pub use client_end::{Busy, ClientEnd, FromServer, OpenError};
pub use decode::{Decode, DecodeError, Decoder, Malformed, ProofError, Prove};
pub use describe::Describe;
pub use encode::{Encode, EncodeError, Encoder, Unsendable};
pub use fault::{Fault, IoCause, MethodError, Ran};
pub use field_path::FieldPath;
pub use frame::{Body, FrameKind, Header, Releases, Status, Violation};
pub use greeting::{Greeting, Hello, Offer};
pub use guid::{Guid, ParseGuidError};
pub use handles::{GivenHandle, Handles, LentHandles};
pub use limits::Limits;
pub use measure::Measure;
pub use payload::{Payload, Shared, Source};
pub use printable::{Printable, is_printable};
pub use server_end::{FromClient, ServerEnd};
pub use whereabouts::Whereabouts;
