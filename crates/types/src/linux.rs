//! Handles and paths on Linux.

use std::ffi::OsString;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::{Declaration, Decode, DecodeError, Decoder, Encode, Encoder, Sockets};

/// An owned handle of unknown kind, which is closed on drop.
pub type OwnedHandle = OwnedFd;

/// A borrowed handle.
pub type BorrowedHandle<'a> = BorrowedFd<'a>;

/// Borrows a value's handle.
#[doc(hidden)]
#[inline]
pub fn borrow(value: &impl AsFd) -> BorrowedHandle<'_> {
    value.as_fd()
}

impl_handle!(
    UnixStream => Declaration::socket(Sockets::UNIX_STREAM),
    UnixListener => Declaration::socket(Sockets::UNIX_LISTENER),
    UnixDatagram => Declaration::socket(Sockets::UNIX_DATAGRAM),
    TcpStream => Declaration::socket(Sockets::TCP_STREAM),
    TcpListener => Declaration::socket(Sockets::TCP_LISTENER),
    UdpSocket => Declaration::socket(Sockets::UDP_SOCKET),
);

/// Encoded as the number of bytes, a `u32`, followed by the bytes of the path, which need not be
/// UTF-8.
impl Encode for Path {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        let bytes = self.as_os_str().as_bytes();
        out.put_len(bytes.len());
        out.lend(bytes);
    }
}

impl Encode for PathBuf {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        self.as_path().encode(out);
    }
}

impl Decode for PathBuf {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(OsString::from_vec(Vec::decode(input)?).into())
    }
}
