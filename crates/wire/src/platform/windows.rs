//! Encoding of paths on Windows.

use std::ffi::OsString;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::{Decode, DecodeError, Decoder, Encode, Encoder, Malformed};

/// A path: its UTF-16 units as bytes, which need not be valid UTF-16.
impl Encode for PathBuf {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        let units: Vec<u8> = self.as_os_str().encode_wide().flat_map(u16::to_le_bytes).collect();
        out.put_len(units.len());
        out.put(&units);
    }
}

impl Decode for PathBuf {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let bytes = Vec::<u8>::decode(input)?;
        let (pairs, []) = bytes.as_chunks::<2>() else {
            return Err(input.error(Malformed::Value { expected: "PathBuf" }));
        };
        let units: Vec<_> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        Ok(OsString::from_wide(&units).into())
    }
}
