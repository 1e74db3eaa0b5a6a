//! Socket types that an interface can declare.

use crate::{Object, flag_names};

bitflags::bitflags! {
    /// The socket types that a parameter of kind `socket` accepts.
    ///
    /// A type is determined by address family, socket type and listening state. The protocol is not
    /// checked, so every internet stream socket counts as TCP. The bits are part of the wire format
    /// and never change.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Sockets: u32 {
        /// A stream socket of the family `AF_UNIX` that isn't listening.
        const UNIX_STREAM = 1 << 0;
        /// A listening stream socket of the family `AF_UNIX`.
        const UNIX_LISTENER = 1 << 1;
        /// A datagram socket of the family `AF_UNIX`.
        const UNIX_DATAGRAM = 1 << 2;
        /// A socket of the family `AF_UNIX` and the type `SOCK_SEQPACKET` that isn't listening.
        const SEQPACKET = 1 << 3;
        /// A listening socket of the family `AF_UNIX` and the type `SOCK_SEQPACKET`.
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
    /// Returns the socket type with this name, as written in an interface: `unix_stream`.
    pub fn from_word(word: &str) -> Option<Self> {
        flag_names::find(word)
    }

    /// Returns whether the set includes the type of this socket.
    pub const fn include(self, socket: Object) -> bool {
        self.contains(match socket {
            Object::UnixStream => Self::UNIX_STREAM,
            Object::UnixListener => Self::UNIX_LISTENER,
            Object::UnixDatagram => Self::UNIX_DATAGRAM,
            Object::Seqpacket => Self::SEQPACKET,
            Object::SeqpacketListener => Self::SEQPACKET_LISTENER,
            Object::TcpStream => Self::TCP_STREAM,
            Object::TcpListener => Self::TCP_LISTENER,
            Object::UdpSocket => Self::UDP_SOCKET,
            Object::VsockStream => Self::VSOCK_STREAM,
            Object::VsockListener => Self::VSOCK_LISTENER,
            Object::Socket => Self::OTHER,
            _ => return false,
        })
    }
}

/// Writes the names with `|` between them, as in an interface.
impl std::fmt::Display for Sockets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        flag_names::write(self, f)
    }
}
