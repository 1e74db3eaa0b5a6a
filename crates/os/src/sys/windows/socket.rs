//! Sockets, which the kernel treats as handles and Winsock as numbers.
#![expect(unsafe_code, reason = "Winsock calls")]

use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::sync::OnceLock;

use windows_sys::Win32::Networking::WinSock::{
    AF_INET, AF_INET6, AF_UNIX, SO_ACCEPTCONN, SO_TYPE, SOCK_DGRAM, SOCK_STREAM, SOCKADDR_STORAGE,
    SOCKET, SOL_SOCKET, WSADATA, WSAStartup, getsockname, getsockopt,
};

use crate::Object;

/// Returns the family and type of a socket. Returns `None` if the handle is not a socket.
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

/// Returns the value of an integer option. Returns `None` if the query fails.
fn option(socket: SOCKET, name: i32) -> Option<i32> {
    let mut value = 0_i32;
    let mut len = size_of::<i32>() as i32;
    // SAFETY: `value` has that size. The call fails if the handle is not a socket.
    let told = unsafe {
        let room = (&raw mut value).cast();
        getsockopt(socket, SOL_SOCKET, name, room, &mut len)
    };
    // Some options consist of a single byte.
    (told == 0).then_some(if len == 1 { value & 0xff } else { value })
}

/// Returns the family of the address to which the socket is bound. Returns `None` if it isn't
/// bound.
fn family(socket: SOCKET) -> Option<u16> {
    let mut address = SOCKADDR_STORAGE::default();
    let mut len = size_of::<SOCKADDR_STORAGE>() as i32;
    // SAFETY: the structure has that size. The call fails if the handle is not a socket.
    let told = unsafe { getsockname(socket, (&raw mut address).cast(), &mut len) };
    (told == 0).then_some(address.ss_family)
}

/// Initializes Winsock on the first call, which is required before any other Winsock call.
fn start() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        let mut data = WSADATA::default();
        // SAFETY: the call writes the structure. If it fails, later Winsock calls fail too.
        unsafe { WSAStartup(0x202, &mut data) };
    });
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use crate::{BorrowedHandle, Handle, Object, identify};

    #[test]
    fn a_duplicate_is_the_same_socket() {
        if crate::under_wine() {
            eprintln!("skipped: Wine's Winsock only knows sockets that the process created itself");
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let copy = Handle::as_handle(&stream).try_clone_to_owned().unwrap();
        assert_eq!(identify(copy.as_handle()).unwrap().object, Object::TcpStream);
        let copy = TcpStream::from_handle(copy);
        assert_eq!(copy.peer_addr().unwrap(), listener.local_addr().unwrap());
    }

    #[test]
    fn each_sort_of_socket_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let datagram = UdpSocket::bind("127.0.0.1:0").unwrap();
        let object = |handle: BorrowedHandle<'_>| identify(handle).unwrap().object;
        assert_eq!(object(Handle::as_handle(&listener)), Object::TcpListener);
        assert_eq!(object(Handle::as_handle(&stream)), Object::TcpStream);
        assert_eq!(object(Handle::as_handle(&datagram)), Object::UdpSocket);
    }
}
