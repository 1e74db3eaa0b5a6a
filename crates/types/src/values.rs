//! Encoding of simple values: fixed width, little endian, without padding.

use std::ffi::OsString;
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8,
    NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{Decode, DecodeError, DecodeErrorKind, Decoder, Encode, Encoder, Guid};

macro_rules! impl_number {
    ($($type:ty),+) => {$(
        impl Encode for $type {
            #[inline]
            fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
                out.put(&self.to_le_bytes());
            }
        }

        impl Decode for $type {
            #[inline]
            fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_le_bytes(input.take_array()?))
            }
        }
    )+};
}
impl_number!(i8, u16, i16, u32, i32, u64, i64, u128, i128, f32, f64);

/// Encoded as one byte. A slice is copied in one piece.
impl Encode for u8 {
    #[inline]
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put(&[*self]);
    }

    fn encode_all<'a>(items: &'a [Self], out: &mut Encoder<'a>) {
        out.lend(items);
    }
}

impl Decode for u8 {
    #[inline]
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let [byte] = input.take_array()?;
        Ok(byte)
    }

    fn decode_all(len: usize, input: &mut Decoder<'_>) -> Result<Vec<Self>, DecodeError> {
        input.take_vec(len)
    }
}

/// Encoded as `u64` on every machine.
impl Encode for usize {
    #[inline]
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put(&(*self as u64).to_le_bytes());
    }
}

impl Decode for usize {
    #[inline]
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Self::try_from(u64::decode(input)?)
            .map_err(|_| input.error(DecodeErrorKind::Value { expected: "usize" }))
    }
}

/// Encoded as `i64` on every machine.
impl Encode for isize {
    #[inline]
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put(&(*self as i64).to_le_bytes());
    }
}

impl Decode for isize {
    #[inline]
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Self::try_from(i64::decode(input)?)
            .map_err(|_| input.error(DecodeErrorKind::Value { expected: "isize" }))
    }
}

macro_rules! impl_non_zero {
    ($($type:ty => $number:ty $(as $wire:ty)?),+ $(,)?) => {$(
        /// Encoded like the number.
        impl Encode for $type {
            #[inline]
            fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
                out.put(&(self.get() $(as $wire)?).to_le_bytes());
            }
        }

        impl Decode for $type {
            #[inline]
            fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                Self::new(<$number>::decode(input)?)
                    .ok_or_else(|| input.error(DecodeErrorKind::Value { expected: stringify!($type) }))
            }
        }
    )+};
}
impl_non_zero! {
    NonZeroU8 => u8, NonZeroI8 => i8, NonZeroU16 => u16, NonZeroI16 => i16,
    NonZeroU32 => u32, NonZeroI32 => i32, NonZeroU64 => u64, NonZeroI64 => i64,
    NonZeroU128 => u128, NonZeroI128 => i128, NonZeroUsize => usize as u64, NonZeroIsize => isize as i64,
}

/// Encoded as one byte, 0 or 1.
impl Encode for bool {
    #[inline]
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put(&[u8::from(*self)]);
    }
}

impl Decode for bool {
    #[inline]
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match u8::decode(input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(input.error(DecodeErrorKind::Value { expected: "bool" })),
        }
    }
}

/// Encoded as one zero byte, because every value takes at least one byte.
impl Encode for () {
    #[inline]
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put(&[0]);
    }
}

impl Decode for () {
    #[inline]
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match u8::decode(input)? {
            0 => Ok(()),
            _ => Err(input.error(DecodeErrorKind::Value { expected: "()" })),
        }
    }
}

/// Encoded as the Unicode scalar value, a `u32`.
impl Encode for char {
    #[inline]
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put(&u32::from(*self).to_le_bytes());
    }
}

impl Decode for char {
    #[inline]
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Self::from_u32(u32::decode(input)?)
            .ok_or_else(|| input.error(DecodeErrorKind::Value { expected: "char" }))
    }
}

/// Encoded as the length in bytes, a `u32`, followed by the text in UTF-8.
impl Encode for str {
    #[inline]
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put_len(self.len());
        out.lend(self.as_bytes());
    }
}

impl Encode for String {
    #[inline]
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        self.as_str().encode(out);
    }
}

impl Decode for String {
    #[inline]
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let len = input.take_len()?;
        let bytes = input.take_vec(len)?;
        Self::from_utf8(bytes)
            .map_err(|_| input.error(DecodeErrorKind::Value { expected: "UTF-8" }))
    }
}

impl Encode for OsString {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        self.as_os_str().encode(out);
    }
}

/// Encoded like the `OsStr` of the path.
impl Encode for Path {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        self.as_os_str().encode(out);
    }
}

impl Encode for PathBuf {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        self.as_path().encode(out);
    }
}

impl Decode for PathBuf {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(OsString::decode(input)?.into())
    }
}

/// Encoded as the sixteen bytes of the GUID.
impl Encode for Guid {
    #[inline]
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put(&self.to_bytes());
    }
}

impl Decode for Guid {
    #[inline]
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self::from_bytes(input.take_array()?))
    }
}

/// Encoded as seconds, a `u64`, followed by nanoseconds, a `u32`.
impl Encode for Duration {
    #[inline]
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put(&self.as_secs().to_le_bytes());
        out.put(&self.subsec_nanos().to_le_bytes());
    }
}

impl Decode for Duration {
    #[inline]
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let (seconds, nanoseconds) = (u64::decode(input)?, u32::decode(input)?);
        match nanoseconds {
            0..NANOSECONDS => Ok(Self::new(seconds, nanoseconds)),
            _ => Err(input.error(DecodeErrorKind::Value { expected: "Duration" })),
        }
    }
}

/// Encoded as the seconds since the start of 1970 in UTC, an `i64`, followed by the nanoseconds
/// after that second, a `u32`. The seconds of an earlier time are negative.
impl Encode for SystemTime {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        let (seconds, nanoseconds) = match self.duration_since(UNIX_EPOCH) {
            Ok(after) => (after.as_secs() as i64, after.subsec_nanos()),
            Err(error) => {
                let before = error.duration();
                // Linux has times up to 2⁶³ seconds before 1970, and the negation of that number
                // is the number itself.
                let seconds = (before.as_secs() as i64).wrapping_neg();
                match before.subsec_nanos() {
                    0 => (seconds, 0),
                    nanoseconds => (seconds - 1, NANOSECONDS - nanoseconds),
                }
            }
        };
        out.put(&seconds.to_le_bytes());
        out.put(&nanoseconds.to_le_bytes());
    }
}

/// Refuses a time that the system's `SystemTime` can't represent. Windows has fewer times than
/// Linux, in steps of 100 nanoseconds.
impl Decode for SystemTime {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let (seconds, nanoseconds) = (i64::decode(input)?, u32::decode(input)?);
        let distance = Duration::from_secs(seconds.unsigned_abs());
        let time = match seconds {
            0.. => UNIX_EPOCH.checked_add(distance),
            _ => UNIX_EPOCH.checked_sub(distance),
        };
        time.filter(|_| nanoseconds < NANOSECONDS)
            .and_then(|time| time.checked_add(Duration::from_nanos(nanoseconds.into())))
            .ok_or_else(|| input.error(DecodeErrorKind::Value { expected: "SystemTime" }))
    }
}

/// Nanoseconds in a second.
const NANOSECONDS: u32 = 1_000_000_000;
