//! Encoding of simple values: fixed width, little endian, without padding.

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
impl Encode for std::time::Duration {
    #[inline]
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put(&self.as_secs().to_le_bytes());
        out.put(&self.subsec_nanos().to_le_bytes());
    }
}

impl Decode for std::time::Duration {
    #[inline]
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let (seconds, nanoseconds) = (u64::decode(input)?, u32::decode(input)?);
        match nanoseconds {
            0..1_000_000_000 => Ok(Self::new(seconds, nanoseconds)),
            _ => Err(input.error(DecodeErrorKind::Value { expected: "Duration" })),
        }
    }
}
