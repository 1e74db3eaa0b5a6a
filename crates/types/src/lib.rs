//! The basic types of syshandle: kinds, rights and declarations of handles, and the encoding of
//! values.
//!
//! The crate contains only types and pure functions on bytes and handles. It makes no system calls,
//! starts no threads and reads no clock. All other crates use these types. `syshandle-os`
//! implements the traits for its handle types and proves handles by kernel queries.
//! `syshandle-wire` transmits the encoded values in frames.
//!
//! ```
//! use syshandle_types::{Declaration, Facts, Kind, Object, Rights};
//!
//! let declared = Declaration::kind(Kind::File).at_least(Rights::WRITE);
//! let received = Facts { object: Object::RegularFile, rights: Rights::READ };
//! let mismatch = declared.check(&received).unwrap_err();
//! assert_eq!(mismatch.to_string(), "expected write, got a file with read");
//! ```
//!
//! Suggested reading order: [`Kind`], [`Rights`] and [`Declaration`]; then [`Object`], which maps
//! kernel objects to kinds; then [`Handle`], the trait of all types that own a handle; then
//! [`Encode`] and [`Decode`], which convert between values and bytes with handles; and last
//! [`Describe`], which describes a type at run time.

mod addresses;
mod collections;
mod declaration;
mod decode;
pub mod describe;
mod encode;
mod field_path;
mod files;
mod flag_names;
mod growable;
mod guid;
mod io_error;
#[macro_use]
mod handle;
mod kind;
mod limits;
#[cfg(not(windows))]
mod linux;
mod measure;
mod message_handles;
mod object;
mod payload;
mod printable;
mod rights;
mod sockets;
mod targets;
mod values;
#[cfg(windows)]
mod windows;

#[cfg(not(windows))]
use linux as platform;
#[cfg(windows)]
use windows as platform;

pub use declaration::{Declaration, Mismatch, Requirement};
pub use decode::{Decode, DecodeError, DecodeErrorKind, Decoder, ProofError, Prove};
pub use describe::Describe;
pub use encode::{Encode, EncodeError, EncodeErrorKind, Encoder};
pub use field_path::FieldPath;
pub use files::Files;
pub use growable::{GROWABLE_HEADER_BYTES, GrowableType};
pub use guid::{Guid, ParseGuidError};
#[doc(hidden)]
pub use handle::borrow;
pub use handle::{BorrowedHandle, Handle, OwnedHandle, SharedHandle, SharedType};
pub use io_error::IoCause;
pub use kind::{Kind, Kinds};
pub use limits::Limits;
#[doc(hidden)]
pub use limits::cut;
pub use measure::Measure;
pub use message_handles::{Handles, MessageHandle, MessageObject, MessageObjects, OutgoingHandles};
pub use object::{Facts, Object};
pub use payload::{BodySize, ByteSource, Payload, SharedBytes};
pub use printable::{Printable, is_printable};
pub use rights::Rights;
pub use sockets::Sockets;
