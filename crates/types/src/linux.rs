//! Handles and the system's texts on Linux.

use std::ffi::{OsStr, OsString};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

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

/// Encoded as the number of bytes, a `u32`, followed by the bytes, which need not be UTF-8.
impl Encode for OsStr {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        out.put_len(self.len());
        out.lend(self.as_bytes());
    }
}

impl Decode for OsString {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self::from_vec(Vec::decode(input)?))
    }
}
