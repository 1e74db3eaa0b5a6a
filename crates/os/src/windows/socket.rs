//! Sockets: the types of the standard library.
//!
//! | | |
//! |---|---|
//! | object | a socket of Winsock |
//! | proof | `getsockopt` returns its type and whether it listens, `getsockname` returns its family |
//! | rights | `read` and `write`: Windows enforces neither |
//! | `try_clone` | the same socket |
//! | MIDL | `sh_socket` |
//!
//! Sockets can't be passed between processes under Wine. Its Winsock knows only the sockets that a
//! process has made itself, so a received socket is refused as an object of another kind.

use crate::Rights;

/// The rights of every socket, neither of which the kernel enforces.
pub(super) const RIGHTS: Rights = Rights::READ.union(Rights::WRITE);

#[cfg(test)]
#[expect(clippy::print_stderr, reason = "a test that can't run says so")]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use crate::{BorrowedHandle, Handle, Object, identify};

    #[test]
    fn a_duplicate_is_the_same_socket() {
        if crate::under_wine() {
            eprintln!("skipped: Wine's Winsock knows no sockets but those that it made itself");
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
