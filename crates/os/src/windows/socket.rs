//! Sockets: those of the standard library.
//!
//! | | |
//! |---|---|
//! | object | a socket of Winsock |
//! | proof | `getsockopt` says its type and whether it listens, `getsockname` its family |
//! | rights | `read` and `write`: Windows enforces neither |
//! | `try_clone` | the same socket |
//! | MIDL | `sh_socket` |
//!
//! Not under Wine between processes: its Winsock knows no sockets but those that a process has made
//! itself, and one that came is refused as what it isn't.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::windows::io::{AsSocket, OwnedSocket};

use super::sys::socket;
use crate::{BorrowedHandle, Declared, Handle, Object, OwnedHandle, Rights};

bitflags::bitflags! {
    /// A set of sorts of socket: what a parameter of the kind `socket` takes.
    ///
    /// The sorts and their bits are those of Linux; those of a family that Windows doesn't have
    /// are never met.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Sockets: u32 {
        /// A stream socket of the family `AF_UNIX` that isn't listening.
        const UNIX_STREAM = 1 << 0;
        /// A listening stream socket of the family `AF_UNIX`.
        const UNIX_LISTENER = 1 << 1;
        /// A datagram socket of the family `AF_UNIX`.
        const UNIX_DATAGRAM = 1 << 2;
        /// A socket of the family `AF_UNIX` and the type `SOCK_SEQPACKET` that isn't listening.
        const SEQPACKET = 1 << 3;
        /// The same, listening.
        const SEQPACKET_LISTENER = 1 << 4;
        /// A stream socket of `AF_INET` or `AF_INET6` that isn't listening.
        const TCP_STREAM = 1 << 5;
        /// A listening stream socket of `AF_INET` or `AF_INET6`.
        const TCP_LISTENER = 1 << 6;
        /// A datagram socket of `AF_INET` or `AF_INET6`.
        const UDP_SOCKET = 1 << 7;
        /// A stream socket of the family `AF_VSOCK` that isn't listening.
        const VSOCK_STREAM = 1 << 8;
        /// A listening stream socket of the family `AF_VSOCK`.
        const VSOCK_LISTENER = 1 << 9;
        /// A socket of any other family or type.
        const OTHER = 1 << 10;
    }
}

impl Sockets {
    /// The sort with this name, as an interface writes it: `tcp_stream`.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::from_name(&word.to_ascii_uppercase())
            .filter(|_| word.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    }

    /// Whether a socket like this is among them.
    pub const fn include(self, socket: Object) -> bool {
        self.contains(match socket {
            Object::UnixStream => Self::UNIX_STREAM,
            Object::UnixListener => Self::UNIX_LISTENER,
            Object::TcpStream => Self::TCP_STREAM,
            Object::TcpListener => Self::TCP_LISTENER,
            Object::UdpSocket => Self::UDP_SOCKET,
            Object::Socket => Self::OTHER,
            _ => return false,
        })
    }
}

/// The names with `|` between them, as an interface writes them.
impl std::fmt::Display for Sockets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (name, _)) in self.iter_names().enumerate() {
            if i > 0 {
                f.write_str(" | ")?;
            }
            f.write_str(&name.to_ascii_lowercase())?;
        }
        Ok(())
    }
}

macro_rules! impl_socket {
    ($($type:ty => $sockets:expr),+ $(,)?) => {$(
        impl Handle for $type {
            const DECLARED: Declared = Declared::socket($sockets);

            fn as_handle(&self) -> BorrowedHandle<'_> {
                socket::as_handle(self.as_socket())
            }

            fn from_handle(handle: OwnedHandle) -> Self {
                OwnedSocket::from(socket::Handle(handle)).into()
            }
        }
    )+};
}
impl_socket!(
    TcpStream => Sockets::TCP_STREAM,
    TcpListener => Sockets::TCP_LISTENER,
    UdpSocket => Sockets::UDP_SOCKET,
);

/// What the holder of any socket may do; the kernel enforces neither.
pub(super) const RIGHTS: Rights = Rights::READ.union(Rights::WRITE);

#[cfg(test)]
#[expect(clippy::print_stderr, reason = "a test that can't run says so")]
mod tests {
    use super::*;
    use crate::identify;

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
