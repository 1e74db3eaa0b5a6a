//! Encodes values as bytes, and each handle in a value as the number of its slot.

use std::fmt;
use std::io;
use std::mem;
use std::time::Instant;

use crate::payload::PayloadPosition;
use crate::{
    BorrowedHandle, FieldPath, GROWABLE_HEADER_BYTES, Limits, MessageHandle, MessageObject,
    OutgoingHandles, Payload,
};

/// A type whose values can be sent.
///
/// Can be derived for structs and enums whose fields implement it. A handle in the value is lent
/// for the duration of the call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a parameter or result of an interface",
    note = "for a type of your own write `#[derive(syshandle::Encode, syshandle::Decode)]`",
    note = "a type that only knows serde travels as `syshandle::Serde<T>` (feature `serde` of syshandle)"
)]
pub trait Encode {
    /// Writes the value.
    fn encode<'a>(&'a self, out: &mut Encoder<'a>);

    /// Writes consecutive values. The implementation for `u8` copies all bytes at once.
    #[doc(hidden)]
    fn encode_all<'a>(items: &'a [Self], out: &mut Encoder<'a>)
    where
        Self: Sized,
    {
        for (index, item) in items.iter().enumerate() {
            out.item(index, item);
        }
    }
}

/// Collects the bytes and the handles of one message.
///
/// Encoding does not stop at an error: the encoder keeps the first one, and [`Encoder::finish`]
/// returns it.
#[derive(Debug)]
pub struct Encoder<'a> {
    payload: Payload<'a>,
    handles: OutgoingHandles<'a>,
    limits: Limits,
    parameter: Option<u16>,
    deadline: Option<Instant>,
    receiver: usize,
    takes_streams: bool,
    depth: u32,
    /// Number of the last required field that is set in the current growable value.
    last_required: u16,
    error: Option<EncodeError>,
}

impl<'a> Encoder<'a> {
    /// Creates an encoder that appends to `bytes`, within these limits.
    #[inline]
    pub fn new(bytes: Vec<u8>, limits: Limits) -> Self {
        let (payload, handles) = (bytes.into(), OutgoingHandles::default());
        Self {
            payload,
            handles,
            limits,
            parameter: None,
            deadline: None,
            receiver: 0,
            takes_streams: false,
            depth: 0,
            last_required: 0,
            error: None,
        }
    }

    /// Sets the deadline of the call.
    #[inline]
    #[must_use]
    pub fn until(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Returns the deadline of the call, if known. A value whose encoding must wait for something
    /// waits at most until then.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Sets what identifies the receiver of the message among all receivers that accept the numbers
    /// of objects.
    #[inline]
    #[must_use]
    pub fn to(mut self, receiver: usize) -> Self {
        self.receiver = receiver;
        self
    }

    /// Returns what identifies the receiver; 0 if it accepts no numbers of objects.
    pub fn receiver(&self) -> usize {
        self.receiver
    }

    /// Sets whether the receiver accepts streams.
    #[inline]
    #[must_use]
    pub fn with_streams(mut self, takes_streams: bool) -> Self {
        self.takes_streams = takes_streams;
        self
    }

    /// Returns whether the receiver accepts streams.
    pub fn takes_streams(&self) -> bool {
        self.takes_streams
    }

    /// Returns the limits of the message.
    #[inline]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Writes the parameter with this index.
    #[inline]
    pub fn parameter<T: Encode + ?Sized>(&mut self, index: u16, value: &'a T) {
        self.parameter = Some(index);
        value.encode(self);
    }

    /// Writes a field of a struct or of an enum's variant, and adds the name of the field to an
    /// error.
    #[inline]
    pub fn named_field<T: Encode + ?Sized>(&mut self, name: &str, value: &'a T) {
        self.within(value, |path| path.put_before(name));
    }

    /// Writes an item of a list, map or set, and adds its index to an error.
    #[inline]
    pub fn item<T: Encode + ?Sized>(&mut self, index: usize, value: &'a T) {
        self.within(value, |path| path.put_item_before(index));
    }

    /// Writes a part of a value with `write`, and adds the name of the part to an error.
    pub fn part<R>(
        &mut self,
        name: impl FnOnce() -> String,
        write: impl FnOnce(&mut Self) -> R,
    ) -> R {
        let has_failed = self.error.is_some();
        let written = write(self);
        if !has_failed {
            if let Some(error) = &mut self.error {
                error.path.put_before(&name());
            }
        }
        written
    }

    /// Writes a nested value. If the value causes the first error of the message, calls `place` to
    /// prepend the name of the value to the path of the error.
    #[inline]
    fn within<T: Encode + ?Sized>(&mut self, value: &'a T, place: impl FnOnce(&mut FieldPath)) {
        let has_failed = self.error.is_some();
        value.encode(self);
        if has_failed {
            return;
        }
        if let Some(error) = &mut self.error {
            place(&mut error.path);
        }
    }

    /// Writes a value of a user-defined type. Fails if it nests deeper than [`Limits::DEPTH_MAX`].
    /// Only user-defined types can contain values of their own type.
    #[inline]
    pub fn nested(&mut self, write: impl FnOnce(&mut Self)) {
        if self.depth == Limits::DEPTH_MAX {
            return self.fail(EncodeErrorKind::TooDeep);
        }
        self.depth += 1;
        write(self);
        self.depth -= 1;
    }

    /// Writes a value of a type that can grow: its header, and then what `write` writes.
    pub fn growable(&mut self, write: impl FnOnce(&mut Self)) {
        self.nested(|out| {
            let header = out.payload.end();
            out.put(&[0; GROWABLE_HEADER_BYTES]);
            let (bytes, handles) = (out.payload.len(), out.handles.len());
            let outer = mem::take(&mut out.last_required);
            write(out);
            let required = mem::replace(&mut out.last_required, outer);
            let size = (out.payload.len() - bytes) as u32;
            let handles = (out.handles.len() - handles) as u16;
            let [s0, s1, s2, s3] = size.to_le_bytes();
            let ([h0, h1], [r0, r1]) = (handles.to_le_bytes(), required.to_le_bytes());
            out.payload.replace(header, &[s0, s1, s2, s3, h0, h1, r0, r1]);
        });
    }

    /// Writes a required field of a growable value like [`Encoder::named_field`]. `number` is the
    /// field's position in the struct, from 1. If the value differs from the default, a reader that
    /// doesn't know the field refuses the message.
    pub fn required_field<T: Encode>(
        &mut self,
        name: &str,
        number: u16,
        value: &'a T,
        default: impl FnOnce() -> T,
    ) {
        let (start, handles) = (self.payload.end(), self.handles.len());
        self.named_field(name, value);
        if self.handles.len() > handles || !self.is_encoding_of(start, &default()) {
            self.last_required = number;
        }
    }

    /// Returns whether the bytes since `start` encode this value. The comparison of encodings works
    /// for types without `PartialEq`, such as an optional handle.
    fn is_encoding_of<T: Encode>(&self, start: PayloadPosition, value: &T) -> bool {
        let mut out = Encoder::new(Vec::new(), self.limits);
        value.encode(&mut out);
        out.error.is_none()
            && out.handles.is_empty()
            && self.payload.ends_with(start, &out.payload.as_slice())
    }

    /// Returns the number of bytes of a value on the wire.
    pub(crate) fn len_of<T: Encode>(value: &T) -> usize {
        let mut out = Encoder::new(Vec::new(), Limits::default());
        value.encode(&mut out);
        out.payload.len()
    }

    /// Appends bytes.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        if self.has_room(bytes.len()) {
            self.payload.put(bytes);
        }
    }

    /// Appends bytes. Large slices are not copied but lent until the message is sent.
    pub fn lend(&mut self, bytes: &'a [u8]) {
        if self.has_room(bytes.len()) {
            self.payload.lend(bytes);
        }
    }

    #[inline]
    fn has_room(&mut self, len: usize) -> bool {
        let limit = self.limits.message_bytes_max;
        let fits = self.payload.len() + len <= limit as usize;
        if !fits {
            self.fail(EncodeErrorKind::TooManyBytes { limit });
        }
        fits
    }

    /// Appends a number of items.
    pub fn put_len(&mut self, len: usize) {
        // A length that does not fit in a `u32` also exceeds the limit of bytes, which `finish`
        // reports.
        self.put(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    }

    /// Lends a handle to the next slot.
    #[inline]
    pub fn put_handle(&mut self, handle: BorrowedHandle<'a>) {
        if self.put_slot() {
            self.handles.push(handle);
        }
    }

    /// Puts an owned handle in the next slot. The message closes the handle after it is sent.
    pub fn give_handle(&mut self, handle: impl MessageHandle + 'static) {
        if self.put_slot() {
            self.handles.give(Box::new(handle));
        }
    }

    /// Puts an object in the next slot. The receiver must accept its number.
    pub fn put_object(&mut self, object: MessageObject) {
        let slot = self.handles.len();
        match slot < Limits::ENTRIES_MAX {
            true => {
                self.put(&(slot as u16).to_le_bytes());
                self.handles.push_object(object);
            }
            false => self.fail(EncodeErrorKind::TooManyEntries),
        }
    }

    /// Writes the number of the next slot. Records an error and returns `false` if the message
    /// already has the maximum number of handles.
    #[inline]
    fn put_slot(&mut self) -> bool {
        let slot = self.handles.len();
        let limit = self.limits.handles_max;
        let error = match () {
            () if self.handles.handles() >= limit.into() => {
                EncodeErrorKind::TooManyHandles { limit }
            }
            () if slot >= Limits::ENTRIES_MAX => EncodeErrorKind::TooManyEntries,
            () => {
                self.put(&(slot as u16).to_le_bytes());
                return true;
            }
        };
        self.fail(error);
        false
    }

    /// Records an error, unless an earlier one is recorded.
    #[cold]
    pub fn fail(&mut self, kind: EncodeErrorKind) {
        let parameter = self.parameter;
        self.error.get_or_insert_with(|| EncodeError::new(parameter, kind));
    }

    /// Returns the bytes and handles of a message that owns no handles.
    ///
    /// # Errors
    /// The first recorded error, or [`EncodeErrorKind::Value`] for a message that owns handles.
    pub fn finish(self) -> Result<(Vec<u8>, Vec<BorrowedHandle<'a>>), EncodeError> {
        let parameter = self.parameter;
        let (payload, handles) = self.finish_lent()?;
        let handles = handles.into_lent().ok_or_else(|| {
            let text = "the value has handles of its own".to_owned();
            EncodeError::new(parameter, EncodeErrorKind::Value(text))
        })?;
        Ok((payload.into_vec(), handles))
    }

    /// Returns the bytes and handles of the message. Some of the bytes may be lent.
    ///
    /// # Errors
    /// The first recorded error.
    #[inline]
    pub fn finish_lent(self) -> Result<(Payload<'a>, OutgoingHandles<'a>), EncodeError> {
        match self.error {
            None => Ok((self.payload, self.handles)),
            Some(error) => Err(error),
        }
    }
}

/// The error of a value that can't be sent.
#[derive(Debug)]
pub struct EncodeError {
    /// The index of the parameter; `None` for a result.
    pub parameter: Option<u16>,
    /// The place within the parameter or the result.
    pub path: FieldPath,
    /// The cause.
    pub kind: EncodeErrorKind,
}

impl EncodeError {
    /// Creates an error that concerns a whole parameter or result.
    pub fn new(parameter: Option<u16>, kind: EncodeErrorKind) -> Self {
        Self { parameter, path: FieldPath::default(), kind }
    }
}

/// The reasons why a value can't be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// The value has more bytes than one message may have.
    TooManyBytes {
        /// Maximum number of bytes.
        limit: u32,
    },
    /// The value contains more handles than one message may have.
    TooManyHandles {
        /// Maximum number of handles.
        limit: u16,
    },
    /// The value contains more handles and objects than one message may have
    /// ([`Limits::ENTRIES_MAX`]).
    TooManyEntries,
    /// User-defined types in the value nest deeper than the receiver accepts
    /// ([`Limits::DEPTH_MAX`]).
    TooDeep,
    /// The value is the variant that stands for all variants which this version of its type doesn't
    /// know. It has no form on the wire.
    UnknownVariant {
        /// Name of the type.
        type_name: &'static str,
    },
    /// The value could not provide its handle.
    Handle(io::Error),
    /// The implementation of [`Encode`] for the value failed.
    Value(String),
}

impl fmt::Display for EncodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyBytes { limit } => {
                write!(f, "the limit of {limit} bytes in one call is exceeded")
            }
            Self::TooManyHandles { limit } => {
                write!(f, "the limit of {limit} handles in one call is exceeded")
            }
            Self::TooManyEntries => {
                let limit = Limits::ENTRIES_MAX;
                write!(f, "the limit of {limit} handles and objects in one call is exceeded")
            }
            Self::TooDeep => {
                write!(f, "the limit of {} nested values is exceeded", Limits::DEPTH_MAX)
            }
            Self::UnknownVariant { type_name } => write!(
                f,
                "an unknown variant of `{type_name}` can't be sent: it was received from a program \
                 with a newer version of the type"
            ),
            Self::Handle(_) => f.write_str("a handle to send can't be obtained"),
            Self::Value(text) => write!(f, "a value can't be encoded: {text}"),
        }
    }
}

impl std::error::Error for EncodeErrorKind {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Handle(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.write_before_error(self.parameter, f)?;
        self.kind.fmt(f)
    }
}

impl std::error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind.source()
    }
}
