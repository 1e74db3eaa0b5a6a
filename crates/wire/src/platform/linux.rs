//! Values that exist only on Linux, and the encoding of paths there.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;

use syshandle_os::{Handle, Seqpacket, UnsealedSection};

use crate::describe::{Describe, Type};
use crate::{Decode, DecodeError, Decoder, Encode, Encoder};

impl_handles!(Seqpacket, UnixDatagram, UnixListener, UnixStream, UnsealedSection);

/// A path: its bytes, which need not be UTF-8.
impl Encode for PathBuf {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        let bytes = self.as_os_str().as_bytes();
        out.put_len(bytes.len());
        out.lend(bytes);
    }
}

impl Decode for PathBuf {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(OsString::from_vec(Vec::decode(input)?).into())
    }
}
