//! Sockets: the types of the standard library and, on Linux, `Seqpacket`.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | a socket of any family | a socket of Winsock |
//! | proof | `SO_TYPE` has a value, which it has for no other object. For a declared family and type, also `SO_DOMAIN`, `SO_ACCEPTCONN` or the address of the peer | `getsockopt` returns its type and whether it listens, `getsockname` returns its family |
//! | rights | `read` and `write`: Linux enforces neither | `read` and `write`: Windows enforces neither |
//! | `try_clone` | the same socket | the same socket |
//! | MIDL | | `sh_socket` |
//!
//! A parameter can declare the family and type of a socket in addition to its kind
//! ([`Sockets`](crate::Sockets)), and each type of socket declares its own.
//!
//! Sockets can't be passed between processes under Wine. Its Winsock knows only the sockets that a
//! process has made itself, so a received socket is refused as an object of another kind.

use crate::Rights;

#[cfg(not(windows))]
syshandle_types::impl_handle!(
    crate::Seqpacket => crate::Declaration::socket(crate::Sockets::SEQPACKET)
);

/// The rights of every socket, neither of which the kernel enforces.
pub(crate) const RIGHTS: Rights = Rights::READ.union(Rights::WRITE);
