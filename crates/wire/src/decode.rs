//! Bytes and handles back to values. Nothing that a peer sends makes this panic, allocate more
//! than it sent, or pass a handle that wasn't proven.

use std::fmt;

use syshandle_os::{BorrowedHandle, Declared, Handle, Mismatch, OwnedHandle};

use crate::payload::{Rest, Shared};
use crate::{FieldPath, Handles, Limits};

/// A value that can be received.
///
/// Derived for structs and enums of such values. Every value takes at least one byte, so that a
/// message can't claim more of them than it has room for.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a parameter or result of an interface",
    note = "for a type of your own write `#[derive(syshandle::Encode, syshandle::Decode)]`",
    note = "a type that only knows serde travels as `syshandle::Serde<T>`"
)]
pub trait Decode: Sized {
    /// Reads one value.
    ///
    /// # Errors
    /// The bytes aren't such a value, or a handle isn't what is declared.
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError>;

    /// Reads `len` values, one after the other; faster for bytes.
    #[doc(hidden)]
    fn decode_all(len: usize, input: &mut Decoder<'_>) -> Result<Vec<Self>, DecodeError> {
        // Every value takes a byte at least, but may be much larger in memory than on the wire.
        let mut items = input.room_for(len)?;
        for index in 0..len {
            items.push(Self::decode(input).map_err(|error| error.in_item(index))?);
        }
        Ok(items)
    }
}

/// Proves what a handle is: the part of decoding that must ask the kernel.
pub trait Prove {
    /// Proves that a handle is what is declared.
    ///
    /// Returns a duplicate if the last close of the handle may block. The decoder keeps the duplicate
    /// until the whole message is decoded: if decoding fails, values that were decoded already are
    /// dropped in place, and their handles are not the last ones.
    ///
    /// # Errors
    /// [`Malformed::Handle`] or [`Malformed::Unproven`].
    fn prove(
        &self,
        handle: BorrowedHandle<'_>,
        declared: &Declared,
    ) -> Result<Option<OwnedHandle>, ProofError>;

    /// Closes a handle that no user code got. The close may block, and must not delay the caller.
    fn refuse(&self, handle: OwnedHandle);

    /// Counts memory that decoded values are about to take.
    ///
    /// # Errors
    /// Returns the name of the limit that the sender has reached.
    fn reserve(&self, bytes: usize) -> Result<(), &'static str> {
        let _ = bytes;
        Ok(())
    }
}

/// Why a handle wasn't proven.
#[derive(Debug)]
pub enum ProofError {
    /// The kernel says that it is something else.
    Mismatch(Mismatch),
    /// The kernel couldn't be asked.
    Unknown(String),
}

/// Reads the values of one message.
///
/// What isn't read by the end is dropped, handles too.
pub struct Decoder<'a> {
    bytes: &'a [u8],
    /// What comes behind `bytes`.
    rest: Option<Rest<'a>>,
    handles: <Handles as IntoIterator>::IntoIter,
    /// Duplicates of handles in decoded values, until the whole message is decoded.
    duplicates: Handles,
    next_slot: u16,
    prove: &'a dyn Prove,
    declared: Option<Declared>,
    parameter: Option<u16>,
    depth: u32,
    /// Memory that values may take before more is reserved.
    reserved: usize,
    /// Memory that may be reserved yet.
    reservable: usize,
}

impl<'a> Decoder<'a> {
    /// A decoder of these bytes and handles, which this one owns from now on.
    #[inline]
    pub fn new(bytes: &'a [u8], handles: impl Into<Handles>, prove: &'a dyn Prove) -> Self {
        let handles = handles.into().into_iter();
        Self {
            reserved: RESERVED_AT_FIRST,
            reservable: memory_limit(bytes.len()) - RESERVED_AT_FIRST,
            bytes,
            rest: None,
            handles,
            duplicates: Handles::new(),
            next_slot: 0,
            prove,
            declared: None,
            parameter: None,
            depth: 0,
        }
    }

    /// The same of bytes in memory that their sender may still change: each is copied out once.
    pub fn shared(
        shared: &'a Shared<'a>,
        handles: impl Into<Handles>,
        prove: &'a dyn Prove,
    ) -> Self {
        let mut decoder = Self::new(&[], handles, prove);
        let rest = shared.rest();
        decoder.reservable = memory_limit(rest.len()) - RESERVED_AT_FIRST;
        decoder.rest = Some(rest);
        decoder
    }

    /// Reads the parameter of this index, whose handles are what its interface declares, or
    /// what their types say.
    ///
    /// # Errors
    /// Those of its type, with the index.
    #[inline]
    pub fn parameter<T: Decode>(
        &mut self,
        index: u16,
        declared: Option<Declared>,
    ) -> Result<T, DecodeError> {
        self.parameter = Some(index);
        self.declared = declared;
        T::decode(self)
    }

    /// Reads a field of a struct or enum, whose handles are what it declares; or what is declared of
    /// the whole value; or what their types say.
    ///
    /// # Errors
    /// Those of its type.
    #[inline]
    pub fn field<T: Decode>(&mut self, declared: Option<Declared>) -> Result<T, DecodeError> {
        let outer = self.declared;
        self.declared = declared.or(outer);
        let value = T::decode(self);
        self.declared = outer;
        value
    }

    /// Reads a field as [`Decoder::field`] does, and names it in an error.
    ///
    /// # Errors
    /// Those of its type.
    #[inline]
    pub fn named_field<T: Decode>(
        &mut self,
        name: &str,
        declared: Option<Declared>,
    ) -> Result<T, DecodeError> {
        self.field(declared).map_err(|error| error.in_field(name))
    }

    /// Reads a value of a type of the user's, not too deep within others. Only such a type can hold
    /// values of its own type.
    ///
    /// # Errors
    /// Those of `read`, and [`Malformed::TooDeep`].
    pub fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        if self.depth == Limits::DEPTH_MAX {
            return Err(self.error(Malformed::TooDeep));
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// Counts memory that a value is about to take on the heap. Called before the memory is allocated,
    /// so that the values of a message take no more than in proportion to its bytes.
    ///
    /// # Errors
    /// [`Malformed::TooMuchMemory`] and [`Malformed::NoMemory`].
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
            return Err(self.error(Malformed::TooMuchMemory));
        }
        let more = missing.max(RESERVED_AT_ONCE).min(self.reservable);
        self.prove.reserve(more).map_err(|limit| self.error(Malformed::NoMemory { limit }))?;
        self.reservable -= more;
        self.reserved = self.reserved + more - bytes;
        Ok(())
    }

    /// An empty vector with room for so many items, whose memory is counted.
    fn room_for<T>(&mut self, len: usize) -> Result<Vec<T>, DecodeError> {
        self.charge(len.saturating_mul(size_of::<T>()).saturating_add(ALLOCATION_COST))?;
        let mut items = Vec::new();
        match items.try_reserve_exact(len) {
            Ok(()) => Ok(items),
            Err(_) => Err(self.error(Malformed::NoMemory { limit: "memory of the process" })),
        }
    }

    /// Counts the memory of a value that gets an allocation of its own.
    ///
    /// # Errors
    /// As [`Decoder::charge`].
    #[inline]
    pub fn charge_value<T>(&mut self) -> Result<(), DecodeError> {
        self.charge(size_of::<T>() + ALLOCATION_COST)
    }

    /// Takes bytes as they are.
    ///
    /// # Errors
    /// [`Malformed::Truncated`].
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
            None => Err(self.error(Malformed::Truncated)),
        }
    }

    /// Takes bytes as they are, as a vector.
    ///
    /// # Errors
    /// [`Malformed::Truncated`].
    pub fn take_vec(&mut self, len: usize) -> Result<Vec<u8>, DecodeError> {
        if len > self.bytes_left() {
            return Err(self.error(Malformed::Truncated));
        }
        let mut out = self.room_for(len)?;
        match &mut self.rest {
            None => out.extend_from_slice(self.take(len)?),
            Some(rest) => {
                rest.take_vec(len, &mut out).ok_or_else(|| self.error(Malformed::Truncated))?;
            }
        }
        Ok(out)
    }

    /// Takes bytes as they are, as an array.
    ///
    /// # Errors
    /// [`Malformed::Truncated`].
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
            None => Err(self.error(Malformed::Truncated)),
        }
    }

    /// Copies out what is left of bytes that their sender may still change.
    #[cold]
    fn copy_rest(&mut self) -> Result<(), DecodeError> {
        if let Some(rest) = self.rest.take() {
            let room = self.room_for(rest.len())?;
            self.bytes = rest.copy(room).ok_or_else(|| self.error(Malformed::Truncated))?;
        }
        Ok(())
    }

    #[inline]
    fn bytes_left(&self) -> usize {
        self.bytes.len() + self.rest.as_ref().map_or(0, Rest::len)
    }

    /// Reads a number of items, each of which takes at least one byte of what is left.
    ///
    /// # Errors
    /// [`Malformed::Truncated`].
    pub fn take_len(&mut self) -> Result<usize, DecodeError> {
        let len = u32::from_le_bytes(self.take_array()?) as usize;
        if len > self.bytes_left() {
            return Err(self.error(Malformed::Truncated));
        }
        Ok(len)
    }

    /// Takes the handle of the next slot, proven to be what is declared.
    ///
    /// # Errors
    /// Those of a handle in [`Malformed`].
    pub fn take_handle<H: Handle>(&mut self) -> Result<H, DecodeError> {
        let slot = u16::from_le_bytes(self.take_array()?);
        if slot != self.next_slot {
            return Err(self.error(Malformed::WrongSlot { slot }));
        }
        let Some(handle) = self.handles.next() else {
            return Err(self.error(Malformed::MissingHandle { slot }));
        };
        self.next_slot += 1;
        let declared = self.declared.map_or(H::DECLARED, |declared| declared.and(H::DECLARED));
        let error = match self.prove.prove(handle.as_handle(), &declared) {
            Ok(duplicate) => {
                if let Some(duplicate) = duplicate {
                    self.duplicates.push(duplicate);
                }
                return Ok(H::from_handle(handle));
            }
            Err(ProofError::Mismatch(mismatch)) => self.error(Malformed::Handle { slot, mismatch }),
            Err(ProofError::Unknown(text)) => self.error(Malformed::Unproven { slot, text }),
        };
        self.prove.refuse(handle);
        Err(error)
    }

    /// Checks that nothing is left over. From now on the handles belong to the decoded values alone.
    ///
    /// The decoder must outlive the decoded values until here, also if this fails.
    ///
    /// # Errors
    /// [`Malformed::TrailingBytes`] or [`Malformed::ExtraHandles`].
    #[inline]
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        match (self.bytes_left(), self.handles.len()) {
            (0, 0) => {
                // The values have the same handles, so no close is the last one.
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

    /// An error at this place.
    #[cold]
    pub fn error(&self, malformed: Malformed) -> DecodeError {
        DecodeError { parameter: self.parameter, path: FieldPath::default(), malformed }
    }
}

/// What is wrong with a message that has more than its values.
#[cold]
fn left_over(bytes: usize, handles: usize) -> DecodeError {
    let malformed = match (bytes, handles) {
        (0, count) => Malformed::ExtraHandles { count: count as u16 },
        (count, _) => Malformed::TrailingBytes { count: count as u32 },
    };
    DecodeError { parameter: None, path: FieldPath::default(), malformed }
}

/// Refuses the handles that were not decoded, and all handles if decoding failed.
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

/// A message isn't what its interface says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The index of the parameter, where there is one.
    pub parameter: Option<u16>,
    /// The place within the parameter or the result.
    pub path: FieldPath,
    /// What is wrong.
    pub malformed: Malformed,
}

impl DecodeError {
    /// The same error of a field with this name, or of an enum's variant.
    #[cold]
    #[must_use]
    pub fn in_field(mut self, name: &str) -> Self {
        self.path.put_before(name);
        self
    }

    /// The same error of the item with this index in a list, a map or a set.
    #[cold]
    #[must_use]
    pub fn in_item(mut self, index: usize) -> Self {
        self.path.put_item_before(index);
        self
    }
}

/// What can be wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// It ends too early.
    Truncated,
    /// There is something behind its last value.
    TrailingBytes {
        /// How much.
        count: u32,
    },
    /// There are more handles than values that take one.
    ExtraHandles {
        /// How many.
        count: u16,
    },
    /// A value takes a handle that didn't come.
    MissingHandle {
        /// Its slot.
        slot: u16,
    },
    /// A value names a slot that isn't its own.
    WrongSlot {
        /// The slot that it names.
        slot: u16,
    },
    /// A handle isn't what is declared.
    Handle {
        /// Its slot.
        slot: u16,
        /// What was wanted and what came.
        mismatch: Mismatch,
    },
    /// The kernel couldn't be asked what a handle is.
    Unproven {
        /// Its slot.
        slot: u16,
        /// Why not.
        text: String,
    },
    /// Bytes that are no value of a type.
    Value {
        /// What was expected, for example `bool`.
        expected: &'static str,
    },
    /// A value isn't within the bounds that are declared of it.
    OutOfRange {
        /// It, or how many items or letters it has.
        value: i128,
        /// The least that is declared.
        from: i128,
        /// The most that is declared.
        to: i128,
    },
    /// Its values take more memory than in proportion to its bytes.
    TooMuchMemory,
    /// There is no memory for its values, by the limit of this name.
    NoMemory {
        /// The limit.
        limit: &'static str,
    },
    /// Values within values within values.
    TooDeep,
    /// Two entries of a map, or items of a set, that are the same.
    Duplicate,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the message ends too early"),
            Self::TrailingBytes { count: 1 } => f.write_str("1 byte is left over"),
            Self::TrailingBytes { count } => write!(f, "{count} bytes are left over"),
            Self::ExtraHandles { count: 1 } => f.write_str("1 handle is left over"),
            Self::ExtraHandles { count } => write!(f, "{count} handles are left over"),
            Self::MissingHandle { slot } => write!(f, "handle {slot} is missing"),
            Self::WrongSlot { slot } => write!(f, "handle {slot} is out of order"),
            Self::Handle { mismatch, .. } => mismatch.fmt(f),
            Self::Unproven { text, .. } => {
                write!(f, "it can't be proven what the handle is: {text}")
            }
            Self::Value { expected } => write!(f, "the bytes are no {expected}"),
            Self::OutOfRange { value, from, to } => {
                write!(f, "wanted {from} to {to}, got {value}")
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
            Self::TooDeep => write!(f, "values are nested more than {} deep", Limits::DEPTH_MAX),
            Self::Duplicate => f.write_str("a key is there twice"),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(index) = self.parameter {
            write!(f, "parameter {index}: ")?;
        }
        if !self.path.as_str().is_empty() {
            write!(f, "`{}`: ", self.path.as_str())?;
        }
        self.malformed.fmt(f)
    }
}

impl std::error::Error for DecodeError {}

/// How much memory the values of a message of so many bytes may take.
#[inline]
const fn memory_limit(len: usize) -> usize {
    let in_proportion = len.saturating_mul(Limits::DECODED_PER_BYTE) + Limits::DECODED_BYTES_MIN;
    if in_proportion < Limits::DECODED_BYTES_MAX {
        in_proportion
    } else {
        Limits::DECODED_BYTES_MAX
    }
}

/// Memory of small messages, which is not counted.
const RESERVED_AT_FIRST: usize = 64 * 1024;
const _: () = assert!(RESERVED_AT_FIRST <= Limits::DECODED_BYTES_MIN);

/// Memory is counted in pieces of this size.
const RESERVED_AT_ONCE: usize = 256 * 1024;

/// What an allocation takes beside its bytes.
const ALLOCATION_COST: usize = 16;
