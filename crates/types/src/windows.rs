//! Handles and the system's texts on Windows.
#![expect(
    unsafe_code,
    reason = "the standard library has no safe conversion between sockets and handles"
)]

use std::ffi::{OsStr, OsString};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{
    self, AsHandle, AsRawSocket, AsSocket, FromRawSocket, IntoRawHandle, OwnedSocket,
};
use std::ptr;

use crate::{
    Declaration, Decode, DecodeError, DecodeErrorKind, Decoder, Encode, Encoder, Handle, Sockets,
};

/// An owned handle of unknown kind, which is closed on drop.
pub type OwnedHandle = io::OwnedHandle;

/// A borrowed handle.
pub type BorrowedHandle<'a> = io::BorrowedHandle<'a>;

/// Borrows a value's handle.
#[doc(hidden)]
#[inline]
pub fn borrow(value: &impl AsHandle) -> BorrowedHandle<'_> {
    value.as_handle()
}

/// Implements the handle traits for a socket type of the standard library. The kernel treats a
/// socket as a handle, and Winsock as a number, so the conversions make no system call. Winsock is
/// already initialized, because the proof of the handle used it.
macro_rules! impl_socket {
    ($($type:ty => $sockets:expr),+ $(,)?) => {$(
        impl Handle for $type {
            const DECLARATION: Declaration = Declaration::socket($sockets);

            fn as_handle(&self) -> BorrowedHandle<'_> {
                let raw = ptr::without_provenance_mut(self.as_socket().as_raw_socket() as usize);
                // SAFETY: on Windows, a socket is a handle. It is open as long as `self` owns the
                // socket.
                unsafe { BorrowedHandle::borrow_raw(raw) }
            }

            fn from_handle(handle: OwnedHandle) -> Self {
                let raw = handle.into_raw_handle();
                // SAFETY: the number is an owned handle, and the returned socket takes over the
                // ownership.
                unsafe { OwnedSocket::from_raw_socket(raw.addr() as u64) }.into()
            }
        }

        impl_handle_value!($type);
    )+};
}
impl_socket!(
    TcpStream => Sockets::TCP_STREAM,
    TcpListener => Sockets::TCP_LISTENER,
    UdpSocket => Sockets::UDP_SOCKET,
);

/// Encoded as the number of bytes, a `u32`, followed by the text's UTF-16 units in little endian,
/// which need not be valid UTF-16.
impl Encode for OsStr {
    fn encode<'a>(&'a self, out: &mut Encoder<'a>) {
        let units: Vec<u8> = self.encode_wide().flat_map(u16::to_le_bytes).collect();
        out.put_len(units.len());
        out.put(&units);
    }
}

impl Decode for OsString {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let bytes = Vec::<u8>::decode(input)?;
        if bytes.len() % 2 != 0 {
            return Err(input.error(DecodeErrorKind::Value { expected: "OsString" }));
        }
        let pairs = bytes.chunks_exact(2);
        let units: Vec<_> = pairs.map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        Ok(Self::from_wide(&units))
    }
}
