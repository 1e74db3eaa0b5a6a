//! Sockets, which are handles to the kernel and numbers of their own to Winsock.
#![expect(unsafe_code, reason = "calls of Winsock, and a socket's number seen as a handle")]

use std::os::windows::io::{
    AsRawHandle, AsRawSocket, BorrowedHandle, BorrowedSocket, FromRawSocket, IntoRawHandle,
    OwnedHandle, OwnedSocket,
};
use std::ptr;
use std::sync::OnceLock;

use windows_sys::Win32::Networking::WinSock::{
    AF_INET, AF_INET6, AF_UNIX, SO_ACCEPTCONN, SO_TYPE, SOCK_DGRAM, SOCK_STREAM, SOCKADDR_STORAGE,
    SOCKET, SOL_SOCKET, WSADATA, WSAStartup, getsockname, getsockopt,
};

use crate::Object;

/// An owned handle that is known to be a socket's.
pub(crate) struct Handle(pub(crate) OwnedHandle);

impl From<Handle> for OwnedSocket {
    fn from(handle: Handle) -> Self {
        start();
        let raw = handle.0.into_raw_handle();
        // SAFETY: the number was owned as a handle and is owned as a socket from now on.
        unsafe { Self::from_raw_socket(raw.addr() as u64) }
    }
}

/// The handle that a socket's number is.
pub(crate) fn as_handle(socket: BorrowedSocket<'_>) -> BorrowedHandle<'_> {
    let raw = ptr::without_provenance_mut(socket.as_raw_socket() as usize);
    // SAFETY: the sockets of Windows are handles; it is open as long as the socket is.
    unsafe { BorrowedHandle::borrow_raw(raw) }
}

/// The precise sort of a socket; `None` for what is none.
pub(crate) fn identify(handle: BorrowedHandle<'_>) -> Option<Object> {
    start();
    let socket = handle.as_raw_handle().addr();
    let sort = option(socket, SO_TYPE)?;
    let listens = option(socket, SO_ACCEPTCONN) == Some(1);
    let family = family(socket);
    Some(match (family, sort, listens) {
        (Some(AF_INET | AF_INET6), SOCK_STREAM, false) => Object::TcpStream,
        (Some(AF_INET | AF_INET6), SOCK_STREAM, true) => Object::TcpListener,
        (Some(AF_INET | AF_INET6), SOCK_DGRAM, _) => Object::UdpSocket,
        (Some(AF_UNIX), SOCK_STREAM, false) => Object::UnixStream,
        (Some(AF_UNIX), SOCK_STREAM, true) => Object::UnixListener,
        _ => Object::Socket,
    })
}

/// An option that is a number; `None` where it can't be had.
fn option(socket: SOCKET, name: i32) -> Option<i32> {
    let mut value = 0_i32;
    let mut len = size_of::<i32>() as i32;
    // SAFETY: `value` is that long; what is no socket is an error.
    let told = unsafe {
        let room = (&raw mut value).cast();
        getsockopt(socket, SOL_SOCKET, name, room, &mut len)
    };
    // Some options are a single byte.
    (told == 0).then_some(if len == 1 { value & 0xff } else { value })
}

/// The family of the address that it is bound to; `None` before it is.
fn family(socket: SOCKET) -> Option<u16> {
    let mut address = SOCKADDR_STORAGE::default();
    let mut len = size_of::<SOCKADDR_STORAGE>() as i32;
    // SAFETY: the structure is that long; what is no socket is an error.
    let told = unsafe { getsockname(socket, (&raw mut address).cast(), &mut len) };
    (told == 0).then_some(address.ss_family)
}

/// Winsock wants to be told before its first use, once.
fn start() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let mut data = WSADATA::default();
        // SAFETY: the structure is written. If it fails, so will what comes after it.
        unsafe { WSAStartup(0x202, &mut data) };
    });
}
