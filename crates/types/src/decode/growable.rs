//! Decodes values of types that can gain fields or variants.

use std::mem;

use super::{DecodeError, DecodeErrorKind, Decoder};
use crate::{Declaration, Decode, Encode, Encoder, GROWABLE_HEADER_BYTES, GrowableType};

impl<'a> Decoder<'a> {
    /// Reads a value of a type that can grow: its header, and then what `read` reads. Skips the
    /// bytes of the value that `read` leaves.
    ///
    /// # Errors
    /// The errors of `read`, [`DecodeErrorKind::RequiredField`], [`DecodeErrorKind::UnknownHandles`]
    /// and the errors of a wrong header.
    pub fn growable<T>(
        &mut self,
        of: GrowableType,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.nested(|input| {
            let outer = input.enter_growable(of)?;
            let value = read(input)?;
            input.leave_growable(of, outer)?;
            Ok(value)
        })
    }

    fn enter_growable(&mut self, of: GrowableType) -> Result<OuterValue<'a>, DecodeError> {
        let [s0, s1, s2, s3, h0, h1, r0, r1] = self.take_array::<GROWABLE_HEADER_BYTES>()?;
        let size = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
        let (handles, required) = (u16::from_le_bytes([h0, h1]), u16::from_le_bytes([r0, r1]));
        if required > of.fields() {
            return Err(self.error(DecodeErrorKind::RequiredField { of, number: required }));
        }
        if size > self.bytes_left() {
            return Err(self.error(DecodeErrorKind::Truncated));
        }
        let available =
            self.entries_left().min(usize::from(self.slots_end - self.next_slot)) as u16;
        if handles > available {
            let slot = self.next_slot + available;
            return Err(self.error(DecodeErrorKind::MissingHandle { slot }));
        }
        let slots_end = mem::replace(&mut self.slots_end, self.next_slot + handles);
        let bytes = match &mut self.rest {
            Some(rest) => {
                let end = rest.offset() + size;
                OuterBytes::Shared { from: end, end: rest.end_after(size) }
            }
            None => {
                let (inner, outer) = self.bytes.split_at(size);
                self.bytes = inner;
                OuterBytes::Own(outer)
            }
        };
        Ok(OuterValue { bytes, slots_end })
    }

    fn leave_growable(
        &mut self,
        of: GrowableType,
        outer: OuterValue<'a>,
    ) -> Result<(), DecodeError> {
        match (self.slots_end - self.next_slot, self.bytes_left()) {
            (0, _) => {}
            (count, 0) => return Err(self.error(DecodeErrorKind::ExtraHandles { count })),
            (count, _) => {
                return Err(self.error(DecodeErrorKind::UnknownHandles { of, count }));
            }
        }
        self.slots_end = outer.slots_end;
        match (outer.bytes, &mut self.rest) {
            (OuterBytes::Own(bytes), _) => self.bytes = bytes,
            (OuterBytes::Shared { end, .. }, Some(rest)) => rest.continue_until(end),
            // The bytes were copied while the value was read.
            (OuterBytes::Shared { from, end }, None) => {
                let (first, all) = self.copied;
                let outer = all.get(from - first..end - first);
                self.bytes = outer.ok_or_else(|| self.error(DecodeErrorKind::Truncated))?;
            }
        }
        Ok(())
    }

    /// Reads a field that a later version of its struct added. If the sender doesn't know the field,
    /// returns the default, whose memory is charged like that of a received value.
    ///
    /// # Errors
    /// The errors of [`Decoder::named_field`], and of [`Decoder::charge`].
    pub fn added_field<T: Decode + Encode>(
        &mut self,
        name: &str,
        declared: Option<Declaration>,
        default: impl FnOnce() -> T,
    ) -> Result<T, DecodeError> {
        if self.bytes_left() > 0 {
            return self.named_field(name, declared);
        }
        let value = default();
        let len = Encoder::len_of(&value);
        if len > FREE_DEFAULT_BYTES {
            self.charge(len.saturating_mul(DEFAULT_MEMORY_PER_BYTE))
                .map_err(|error| error.in_field(name))?;
        }
        Ok(value)
    }

    /// Checks that a variant with an unknown number may be replaced by the variant that stands for
    /// all unknown ones.
    ///
    /// # Errors
    /// [`DecodeErrorKind::UnknownKey`].
    pub fn unknown_variant(&self, of: GrowableType) -> Result<(), DecodeError> {
        match self.is_key {
            true => Err(self.error(DecodeErrorKind::UnknownKey { of })),
            false => Ok(()),
        }
    }
}

/// The value that contains a growable value.
struct OuterValue<'a> {
    bytes: OuterBytes<'a>,
    slots_end: u16,
}

/// The bytes of a value after a growable value that it contains.
enum OuterBytes<'a> {
    /// In memory of this process.
    Own(&'a [u8]),
    /// In memory that the sender may change, with the offsets of the first byte and after the last.
    Shared { from: usize, end: usize },
}

/// Memory that is charged for a default, for each byte that it would take on the wire. A text takes
/// one byte, and a list of optional numbers up to eight.
const DEFAULT_MEMORY_PER_BYTE: usize = 8;

/// Maximum size on the wire of a default that is not charged. Numbers, `None` and empty texts and
/// lists take no more than that.
const FREE_DEFAULT_BYTES: usize = 16;
