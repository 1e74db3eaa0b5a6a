//! Decodes values from bytes and handles. No peer input can cause a panic, make the decoder
//! allocate memory out of proportion to the message, or deliver an unproven handle.

mod growable;

use std::fmt;
use std::sync::Arc;

use crate::describe::Interface;
use crate::payload::{SharedBytes, UnreadBytes};
use crate::{
    BorrowedHandle, Declaration, FieldPath, GrowableType, Handle, Handles, Limits, MessageObject,
    MessageObjects, Mismatch, OwnedHandle, SharedHandle, SharedType,
};

/// A type whose values can be received.
///
/// Can be derived for structs and enums whose fields implement it. Every value takes at least one
/// byte, so a message cannot claim to have more values than bytes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a parameter or result of an interface",
    note = "for a type of your own write `#[derive(syshandle::Encode, syshandle::Decode)]`",
    note = "a type that only knows serde travels as `syshandle::Serde<T>` (feature `serde` of syshandle)"
)]
pub trait Decode: Sized {
    /// Reads one value.
    ///
    /// # Errors
    /// The bytes do not encode a value of this type, or a handle does not match its declaration.
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError>;

    /// Reads one value that several owners share. The implementation for a handle returns the value
    /// that the receiver keeps, if the handle is registered.
    ///
    /// # Errors
    /// The errors of [`Decode::decode`].
    #[doc(hidden)]
    fn decode_shared(input: &mut Decoder<'_>) -> Result<Arc<Self>, DecodeError> {
        input.charge_value::<Self>()?;
        Ok(Arc::new(Self::decode(input)?))
    }

    /// Reads `len` consecutive values. The implementation for `u8` copies all bytes at once.
    #[doc(hidden)]
    fn decode_all(len: usize, input: &mut Decoder<'_>) -> Result<Vec<Self>, DecodeError> {
        // `len` is at most the number of bytes left, but a value may be much larger in memory than
        // on the wire. `room_for` charges that memory.
        let mut items = input.room_for(len)?;
        for index in 0..len {
            items.push(Self::decode(input).map_err(|error| error.in_item(index))?);
        }
        Ok(items)
    }
}

/// Proves the kind and rights of handles. This is the part of decoding that needs the kernel.
pub trait Prove {
    /// Proves that a handle matches its declaration.
    ///
    /// Returns a duplicate of the handle if its last close may block. The decoder keeps the
    /// duplicate until the whole message is decoded. If decoding fails, the values decoded so far
    /// are dropped in place, and the duplicates ensure that this never is the last close.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Handle`] or [`DecodeErrorKind::Unproven`].
    fn prove(
        &self,
        handle: BorrowedHandle<'_>,
        declared: &Declaration,
    ) -> Result<Option<OwnedHandle>, ProofError>;

    /// Closes a handle that never reached user code. The close must not delay the caller even if it
    /// blocks.
    fn refuse(&self, handle: OwnedHandle);

    /// Proves a registered handle like [`Prove::prove`], and returns a duplicate of it. Returns
    /// `None` if the object of the message is no handle.
    ///
    /// # Errors
    /// The errors of [`Prove::prove`].
    fn duplicate(
        &self,
        kept: &MessageObject,
        declared: &Declaration,
    ) -> Option<Result<OwnedHandle, ProofError>> {
        let _ = (kept, declared);
        None
    }

    /// Proves a registered handle like [`Prove::duplicate`], and returns the value that the
    /// receiver keeps. Its type is the first one for which a message has requested it.
    ///
    /// # Errors
    /// The errors of [`Prove::prove`].
    fn share(
        &self,
        kept: &MessageObject,
        declared: &Declaration,
        of: SharedType,
    ) -> Option<Result<SharedHandle, ProofError>> {
        let _ = (kept, declared, of);
        None
    }

    /// Reserves memory for values that are about to be decoded.
    ///
    /// # Errors
    /// The name of the limit that the sender would exceed.
    fn reserve(&self, bytes: usize) -> Result<(), &'static str> {
        let _ = bytes;
        Ok(())
    }
}

/// The reason why a handle was not proven.
#[derive(Debug)]
pub enum ProofError {
    /// The kernel reports a kind or rights that do not match the declaration.
    Mismatch(Mismatch),
    /// The query to the kernel failed.
    Unknown(String),
}

/// Reads the values of one message.
///
/// Bytes and handles left unread are dropped with the decoder.
pub struct Decoder<'a> {
    bytes: &'a [u8],
    /// The remaining bytes in memory that the sender may change. They come after those in `bytes`.
    rest: Option<UnreadBytes<'a>>,
    /// The copy of the bytes that were in `rest`, and its offset in the message.
    copied: (usize, &'a [u8]),
    handles: <Handles as IntoIterator>::IntoIter,
    /// The entries of a message that has objects, by slot.
    objects: MessageObjects,
    /// Duplicates of handles in decoded values, kept until the whole message is decoded.
    duplicates: Handles,
    next_slot: u16,
    /// The slot after the last handle of the current growable value.
    slots_end: u16,
    prove: &'a dyn Prove,
    declared: Option<Declaration>,
    parameter: Option<u16>,
    method: Option<(&'static Interface, u32)>,
    depth: u32,
    /// Whether the current value is part of a key of a map or an item of a set.
    is_key: bool,
    /// Reserved bytes of memory that no value has been charged for yet.
    reserved: usize,
    /// Bytes of memory that may still be reserved for this message.
    reservable: usize,
}

impl<'a> Decoder<'a> {
    /// Creates a decoder for bytes that only this process can change. The decoder owns the handles.
    #[inline]
    pub fn new(bytes: &'a [u8], handles: impl Into<Handles>, prove: &'a dyn Prove) -> Self {
        let handles = handles.into().into_iter();
        Self {
            reserved: RESERVED_AT_FIRST,
            reservable: memory_limit(bytes.len()) - RESERVED_AT_FIRST,
            bytes,
            rest: None,
            copied: (0, &[]),
            handles,
            objects: MessageObjects::new(),
            duplicates: Handles::new(),
            next_slot: 0,
            slots_end: u16::MAX,
            prove,
            declared: None,
            parameter: None,
            method: None,
            depth: 0,
            is_key: false,
        }
    }

    /// Creates a decoder for bytes in memory that the sender may still change. The decoder reads
    /// each byte once.
    pub fn shared(
        shared: &'a SharedBytes<'a>,
        handles: impl Into<Handles>,
        prove: &'a dyn Prove,
    ) -> Self {
        let mut decoder = Self::new(&[], handles, prove);
        let rest = shared.rest();
        decoder.reservable = memory_limit(rest.len()) - RESERVED_AT_FIRST;
        decoder.rest = Some(rest);
        decoder
    }

    /// Sets the entries of a message that has objects.
    #[must_use]
    pub fn with_objects(mut self, objects: MessageObjects) -> Self {
        self.objects = objects;
        self
    }

    /// Sets the method to which the message belongs, by its number.
    #[inline]
    #[must_use]
    pub fn of_method(mut self, interface: &'static Interface, method: u32) -> Self {
        self.method = Some((interface, method));
        self
    }

    /// Returns the interface and the number of the method to which the message belongs, if known.
    pub fn method(&self) -> Option<(&'static Interface, u32)> {
        self.method
    }

    /// Returns the index of the current parameter; `None` in a result.
    pub fn parameter_index(&self) -> Option<u16> {
        self.parameter
    }

    /// Returns the interface's declaration for the current value, if there is one.
    pub fn declaration(&self) -> Option<Declaration> {
        self.declared
    }

    /// Reads the parameter with this index. A handle must match the declaration of its Rust type
    /// and, if there is one, the interface's declaration for the parameter.
    ///
    /// # Errors
    /// The errors of `T`, with the index of the parameter.
    #[inline]
    pub fn parameter<T: Decode>(
        &mut self,
        index: u16,
        declared: Option<Declaration>,
    ) -> Result<T, DecodeError> {
        self.parameter = Some(index);
        self.declared = declared;
        T::decode(self)
    }

    /// Reads a field of a struct or enum. A handle must match the declaration of its Rust type and
    /// the declaration of the field. A field without a declaration inherits the one of the
    /// enclosing value.
    ///
    /// # Errors
    /// The errors of `T`.
    #[inline]
    pub fn field<T: Decode>(&mut self, declared: Option<Declaration>) -> Result<T, DecodeError> {
        let outer = self.declared;
        self.declared = declared.or(outer);
        let value = T::decode(self);
        self.declared = outer;
        value
    }

    /// Reads a field like [`Decoder::field`], and adds the name of the field to an error.
    ///
    /// # Errors
    /// The errors of `T`.
    #[inline]
    pub fn named_field<T: Decode>(
        &mut self,
        name: &str,
        declared: Option<Declaration>,
    ) -> Result<T, DecodeError> {
        self.field(declared).map_err(|error| error.in_field(name))
    }

    /// Reads a value of a user-defined type and limits the depth of nesting. Only user-defined
    /// types can contain values of their own type.
    ///
    /// # Errors
    /// The errors of `read`, and [`DecodeErrorKind::TooDeep`].
    pub fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        if self.depth == Limits::DEPTH_MAX {
            return Err(self.error(DecodeErrorKind::TooDeep));
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// Reads a key of a map or an item of a set. It can't be an unknown variant, because two
    /// different variants would become the same key.
    pub(crate) fn key<T: Decode>(&mut self, index: usize) -> Result<T, DecodeError> {
        let outer = std::mem::replace(&mut self.is_key, true);
        let value = T::decode(self).map_err(|error| error.in_item(index));
        self.is_key = outer;
        value
    }

    /// Charges heap memory that a value is about to take. Callers charge before they allocate, so
    /// that the memory of the values stays proportional to the size of the message.
    ///
    /// # Errors
    /// [`DecodeErrorKind::TooMuchMemory`] and [`DecodeErrorKind::NoMemory`].
    #[inline]
    pub fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        match self.reserved.checked_sub(bytes) {
            Some(left) => {
                self.reserved = left;
                Ok(())
            }
            None => self.reserve(bytes),
        }
    }

    #[cold]
    fn reserve(&mut self, bytes: usize) -> Result<(), DecodeError> {
        let missing = bytes - self.reserved;
        if missing > self.reservable {
            return Err(self.error(DecodeErrorKind::TooMuchMemory));
        }
        let more = missing.max(RESERVED_AT_ONCE).min(self.reservable);
        self.prove
            .reserve(more)
            .map_err(|limit| self.error(DecodeErrorKind::NoMemory { limit }))?;
        self.reservable -= more;
        self.reserved = self.reserved + more - bytes;
        Ok(())
    }

    /// Returns an empty vector with capacity for `len` items, and charges its memory.
    fn room_for<T>(&mut self, len: usize) -> Result<Vec<T>, DecodeError> {
        self.charge(len.saturating_mul(size_of::<T>()).saturating_add(ALLOCATION_COST))?;
        let mut items = Vec::new();
        match items.try_reserve_exact(len) {
            Ok(()) => Ok(items),
            Err(_) => Err(self.error(DecodeErrorKind::NoMemory { limit: "memory of the process" })),
        }
    }

    /// Charges the memory of a value in its own heap allocation.
    ///
    /// # Errors
    /// The errors of [`Decoder::charge`].
    #[inline]
    pub fn charge_value<T>(&mut self) -> Result<(), DecodeError> {
        self.charge(size_of::<T>() + ALLOCATION_COST)
    }

    /// Takes the next `len` bytes.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`].
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        if self.rest.is_some() {
            self.copy_rest()?;
        }
        match self.bytes.split_at_checked(len) {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(taken)
            }
            None => Err(self.error(DecodeErrorKind::Truncated)),
        }
    }

    /// Takes the next `len` bytes as a vector.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`].
    pub fn take_vec(&mut self, len: usize) -> Result<Vec<u8>, DecodeError> {
        if len > self.bytes_left() {
            return Err(self.error(DecodeErrorKind::Truncated));
        }
        let mut out = self.room_for(len)?;
        match &mut self.rest {
            None => out.extend_from_slice(self.take(len)?),
            Some(rest) => {
                rest.take_vec(len, &mut out)
                    .ok_or_else(|| self.error(DecodeErrorKind::Truncated))?;
            }
        }
        Ok(out)
    }

    /// Takes the next `N` bytes as an array.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`].
    #[inline]
    pub fn take_array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        if let Some(rest) = &mut self.rest {
            if let Some(taken) = rest.take_array() {
                return Ok(taken);
            }
            self.copy_rest()?;
        }
        match self.bytes.split_first_chunk() {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(*taken)
            }
            None => Err(self.error(DecodeErrorKind::Truncated)),
        }
    }

    /// Copies the unread bytes out of memory that the sender may still change.
    #[cold]
    fn copy_rest(&mut self) -> Result<(), DecodeError> {
        if let Some(rest) = self.rest.take() {
            let room = self.room_for(rest.len_of_message())?;
            let (offset, len) = (rest.offset(), rest.len());
            let copy = rest.copy(room).ok_or_else(|| self.error(DecodeErrorKind::Truncated))?;
            (self.copied, self.bytes) = ((offset, copy), &copy[..len]);
        }
        Ok(())
    }

    #[inline]
    fn bytes_left(&self) -> usize {
        self.bytes.len() + self.rest.as_ref().map_or(0, UnreadBytes::len)
    }

    /// Reads a number of items. The number must not exceed the number of bytes left, because each
    /// item takes at least one.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`].
    pub fn take_len(&mut self) -> Result<usize, DecodeError> {
        let len = u32::from_le_bytes(self.take_array()?) as usize;
        if len > self.bytes_left() {
            return Err(self.error(DecodeErrorKind::Truncated));
        }
        Ok(len)
    }

    /// Takes the handle of the next slot and proves that it matches its declaration.
    ///
    /// # Errors
    /// The variants of [`DecodeErrorKind`] that concern handles.
    pub fn take_handle<H: Handle>(&mut self) -> Result<H, DecodeError> {
        let slot = self.take_slot()?;
        let declared = self.handle_declaration::<H>();
        match self.kept(slot) {
            None => self.take_received(slot, &declared),
            Some(kept) => self.duplicate(slot, &kept, &declared),
        }
    }

    /// Takes the handle of the next slot like [`Decoder::take_handle`]. If the handle is registered,
    /// returns the value that the receiver keeps, unless that has another type.
    ///
    /// # Errors
    /// The errors of [`Decoder::take_handle`].
    pub fn take_shared_handle<H>(&mut self) -> Result<Arc<H>, DecodeError>
    where
        H: Handle + Into<OwnedHandle> + Send + Sync + 'static,
    {
        let slot = self.take_slot()?;
        let declared = self.handle_declaration::<H>();
        let Some(kept) = self.kept(slot) else {
            self.charge_value::<H>()?;
            return self.take_received(slot, &declared).map(Arc::new);
        };
        if slot >= self.slots_end {
            return Err(self.error(DecodeErrorKind::MissingHandle { slot }));
        }
        let shared = self.prove.share(&kept, &declared, SharedType::of::<H>());
        match shared.map(|shared| shared.map(|shared| shared.downcast::<H>())) {
            Some(Ok(Ok(shared))) => {
                self.next_slot += 1;
                Ok(shared)
            }
            Some(Err(error)) => Err(self.not_proven(slot, error)),
            Some(Ok(Err(_))) | None => {
                self.charge_value::<H>()?;
                self.duplicate(slot, &kept, &declared).map(Arc::new)
            }
        }
    }

    /// Reads the number of a slot, which must be the next one.
    #[inline]
    fn take_slot(&mut self) -> Result<u16, DecodeError> {
        let slot = u16::from_le_bytes(self.take_array()?);
        match slot == self.next_slot {
            true => Ok(slot),
            false => Err(self.error(DecodeErrorKind::WrongSlot { slot })),
        }
    }

    /// Returns the declaration of a handle of this type at the current place.
    #[inline]
    fn handle_declaration<H: Handle>(&self) -> Declaration {
        self.declared.map_or(H::DECLARATION, |declared| declared.and(H::DECLARATION))
    }

    /// Returns the object of a slot, which is a registered handle if the message is valid. The
    /// decoder keeps it until the whole message is decoded.
    #[inline]
    fn kept(&self, slot: u16) -> Option<MessageObject> {
        self.objects.get(usize::from(slot))?.clone()
    }

    /// Takes the handle of a slot that the message has brought.
    fn take_received<H: Handle>(
        &mut self,
        slot: u16,
        declared: &Declaration,
    ) -> Result<H, DecodeError> {
        let next = if slot < self.slots_end { self.handles.next() } else { None };
        let Some(handle) = next else {
            return Err(self.error(DecodeErrorKind::MissingHandle { slot }));
        };
        self.next_slot += 1;
        match self.prove.prove(handle.as_handle(), declared) {
            Ok(duplicate) => {
                if let Some(duplicate) = duplicate {
                    self.duplicates.push(duplicate);
                }
                Ok(H::from_handle(handle))
            }
            Err(error) => {
                let error = self.not_proven(slot, error);
                self.prove.refuse(handle);
                Err(error)
            }
        }
    }

    /// Takes a duplicate of a registered handle. Closing the duplicate never is the last close while
    /// the decoder keeps the registered handle.
    #[cold]
    fn duplicate<H: Handle>(
        &mut self,
        slot: u16,
        kept: &MessageObject,
        declared: &Declaration,
    ) -> Result<H, DecodeError> {
        let is_here = slot < self.slots_end;
        match is_here.then(|| self.prove.duplicate(kept, declared)).flatten() {
            Some(Ok(handle)) => {
                self.next_slot += 1;
                Ok(H::from_handle(handle))
            }
            Some(Err(error)) => Err(self.not_proven(slot, error)),
            None => Err(self.error(DecodeErrorKind::MissingHandle { slot })),
        }
    }

    #[cold]
    fn not_proven(&self, slot: u16, error: ProofError) -> DecodeError {
        self.error(match error {
            ProofError::Mismatch(mismatch) => DecodeErrorKind::Handle { slot, mismatch },
            ProofError::Unknown(text) => DecodeErrorKind::Unproven { slot, text },
        })
    }

    /// Takes the object of the next slot, unless a handle is there.
    ///
    /// # Errors
    /// The variants of [`DecodeErrorKind`] that concern the slots.
    pub fn take_object(&mut self) -> Result<Option<MessageObject>, DecodeError> {
        let next = self.next_slot;
        match self.objects.get_mut(usize::from(next)) {
            Some(entry) if entry.is_some() && next < self.slots_end => {
                let object = entry.take();
                let slot = u16::from_le_bytes(self.take_array()?);
                if slot != next {
                    return Err(self.error(DecodeErrorKind::WrongSlot { slot }));
                }
                self.next_slot += 1;
                Ok(object)
            }
            _ => Ok(None),
        }
    }

    /// Returns the number of handles and objects that were not taken yet.
    #[inline]
    fn entries_left(&self) -> usize {
        match self.objects.len() {
            0 => self.handles.len(),
            len => len.saturating_sub(self.next_slot.into()),
        }
    }

    /// Checks that no bytes or handles are left over, and drops the duplicates of handles.
    ///
    /// Drop the decoded values before the decoder if this call fails, so that closing their handles
    /// does not block.
    ///
    /// # Errors
    /// [`DecodeErrorKind::TrailingBytes`] or [`DecodeErrorKind::ExtraHandles`].
    #[inline]
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        match (self.bytes_left(), self.entries_left()) {
            (0, 0) => {
                // The decoded values hold the same kernel objects open, so closing a duplicate is
                // never the last close.
                if !self.duplicates.is_empty() {
                    self.duplicates.clear();
                }
                Ok(())
            }
            (bytes, handles) => Err(left_over(bytes, handles)),
        }
    }

    #[cold]
    fn refuse_all(&mut self) {
        for handle in self.handles.by_ref().chain(self.duplicates.drain(..)) {
            self.prove.refuse(handle);
        }
    }

    /// Creates an error at the current parameter.
    #[cold]
    pub fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { parameter: self.parameter, path: FieldPath::default(), kind }
    }
}

/// Returns the error for a message with data after its last value.
#[cold]
fn left_over(bytes: usize, handles: usize) -> DecodeError {
    let kind = match (bytes, handles) {
        (0, count) => DecodeErrorKind::ExtraHandles { count: count as u16 },
        (count, _) => DecodeErrorKind::TrailingBytes { count: count as u32 },
    };
    DecodeError { parameter: None, path: FieldPath::default(), kind }
}

/// Refuses the handles that were not decoded. If decoding failed, also refuses the duplicates of
/// the decoded ones.
impl Drop for Decoder<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.handles.len() > 0 || !self.duplicates.is_empty() {
            self.refuse_all();
        }
    }
}

impl fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("bytes_left", &self.bytes_left())
            .field("handles_left", &self.handles.len())
            .finish_non_exhaustive()
    }
}

/// The error of a message that does not match its interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The index of the parameter; `None` for a result.
    pub parameter: Option<u16>,
    /// The place within the parameter or the result.
    pub path: FieldPath,
    /// The cause.
    pub kind: DecodeErrorKind,
}

impl DecodeError {
    /// Adds the name of a field, or of an enum's variant, to the path of the error.
    #[cold]
    #[must_use]
    pub fn in_field(mut self, name: &str) -> Self {
        self.path.put_before(name);
        self
    }

    /// Adds the index of an item in a list, map or set to the path of the error.
    #[cold]
    #[must_use]
    pub fn in_item(mut self, index: usize) -> Self {
        self.path.put_item_before(index);
        self
    }
}

/// The ways in which a message can be malformed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The message ends before its last value does.
    Truncated,
    /// Bytes follow the last value.
    TrailingBytes {
        /// Number of bytes.
        count: u32,
    },
    /// The message has more handles than its values refer to.
    ExtraHandles {
        /// Number of surplus handles.
        count: u16,
    },
    /// A value refers to a handle that was not received.
    MissingHandle {
        /// Slot of the handle.
        slot: u16,
    },
    /// A value names a slot that is not the next one.
    WrongSlot {
        /// The slot that the value names.
        slot: u16,
    },
    /// A handle does not match its declaration.
    Handle {
        /// Slot of the handle.
        slot: u16,
        /// The declared and the received properties.
        mismatch: Mismatch,
    },
    /// The query to the kernel about a handle failed.
    Unproven {
        /// Slot of the handle.
        slot: u16,
        /// The cause.
        text: String,
    },
    /// The bytes are not a value of the expected type.
    Value {
        /// The expected type, for example `bool`.
        expected: &'static str,
    },
    /// A value is outside its declared bounds.
    OutOfRange {
        /// The number itself, or the number of items or UTF-16 units.
        value: i128,
        /// The declared minimum.
        from: i128,
        /// The declared maximum.
        to: i128,
        /// The name of the counted things, with a space before it; empty for a number.
        unit: &'static str,
    },
    /// The values would take more memory than a message of this size may use.
    TooMuchMemory,
    /// The values would take more memory than the named limit permits.
    NoMemory {
        /// Name of the limit.
        limit: &'static str,
    },
    /// User-defined types in the value nest deeper than [`Limits::DEPTH_MAX`].
    TooDeep,
    /// A map has two equal keys, or a set two equal items.
    Duplicate,
    /// A value sets a required field that the receiver's version of its type doesn't have.
    RequiredField {
        /// The receiver's version of the type.
        of: GrowableType,
        /// Number of the last required field that is set, from 1.
        number: u16,
    },
    /// A field or variant that the receiver's version of its type doesn't have contains handles.
    UnknownHandles {
        /// The receiver's version of the type.
        of: GrowableType,
        /// Number of handles.
        count: u16,
    },
    /// A key of a map or an item of a set contains a variant that the receiver's version of its type
    /// doesn't have.
    UnknownKey {
        /// The receiver's version of the type.
        of: GrowableType,
    },
}

const OTHER_VERSION: &str = "the sender may have another version of the interface";

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "the message ends too early: {OTHER_VERSION}"),
            Self::TrailingBytes { count: 1 } => write!(f, "1 byte is left over: {OTHER_VERSION}"),
            Self::TrailingBytes { count } => {
                write!(f, "{count} bytes are left over: {OTHER_VERSION}")
            }
            Self::ExtraHandles { count: 1 } => write!(f, "1 handle is left over: {OTHER_VERSION}"),
            Self::ExtraHandles { count } => {
                write!(f, "{count} handles are left over: {OTHER_VERSION}")
            }
            Self::MissingHandle { slot } => write!(f, "handle {slot} is missing"),
            Self::WrongSlot { slot } => write!(f, "handle {slot} is out of order"),
            Self::Handle { mismatch, .. } => mismatch.fmt(f),
            Self::Unproven { text, .. } => {
                write!(f, "the kind of the handle can't be determined: {text}")
            }
            Self::Value { expected } => write!(f, "the bytes are no {expected}"),
            Self::OutOfRange { value, from, to, unit } => {
                write!(f, "expected {from} to {to}{unit}, got {value}")
            }
            Self::TooMuchMemory => write!(
                f,
                "the values take more than {} bytes of memory for each byte sent and {} bytes, or \
                 more than {} bytes",
                Limits::DECODED_PER_BYTE,
                Limits::DECODED_BYTES_MIN,
                Limits::DECODED_BYTES_MAX
            ),
            Self::NoMemory { limit } => write!(f, "there is no memory left: {limit}"),
            Self::TooDeep => {
                write!(f, "the limit of {} nested values is exceeded", Limits::DEPTH_MAX)
            }
            Self::Duplicate => f.write_str("a key is there twice"),
            Self::RequiredField { of, number } => {
                write!(f, "field {number} is required and unknown: {of}")
            }
            Self::UnknownHandles { of, count: 1 } => {
                write!(f, "1 handle is in an unknown {}: {of}", of.part())
            }
            Self::UnknownHandles { of, count } => {
                write!(f, "{count} handles are in an unknown {}: {of}", of.part())
            }
            Self::UnknownKey { of } => write!(f, "a key has an unknown {}: {of}", of.part()),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.write_before_error(self.parameter, f)?;
        self.kind.fmt(f)
    }
}

impl std::error::Error for DecodeError {}

/// Returns how many bytes of memory the values of a message of `len` bytes may take.
#[inline]
const fn memory_limit(len: usize) -> usize {
    let in_proportion = len.saturating_mul(Limits::DECODED_PER_BYTE) + Limits::DECODED_BYTES_MIN;
    if in_proportion < Limits::DECODED_BYTES_MAX {
        in_proportion
    } else {
        Limits::DECODED_BYTES_MAX
    }
}

/// Memory that the values of each message may take without a reservation, in bytes.
const RESERVED_AT_FIRST: usize = 64 * 1024;
const _: () = assert!(RESERVED_AT_FIRST <= Limits::DECODED_BYTES_MIN);

/// Minimum size of a reservation, in bytes.
const RESERVED_AT_ONCE: usize = 256 * 1024;

/// Bytes charged for the overhead of one heap allocation.
const ALLOCATION_COST: usize = 16;
