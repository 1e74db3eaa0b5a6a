//! Sockets: the types of the standard library and, on Linux, `Seqpacket`.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | a socket of any family | a Winsock socket |
//! | proof | `SO_TYPE` has a value, which it has for no other object. If a socket type is declared, also `SO_DOMAIN`, `SO_ACCEPTCONN` or the peer's address | `getsockopt` returns its type and whether it listens, and `getsockname` returns its family |
//! | rights | `read` and `write`: Linux enforces neither | `read` and `write`: Windows enforces neither |
//! | `try_clone` | the same socket | the same socket |
//! | MIDL | | `sh_socket` |
//!
//! In addition to the kind, a parameter can declare the family and type of a socket
//! ([`Sockets`](crate::Sockets)). Each Rust socket type declares its own.
//!
//! Under Wine, sockets can't be passed between processes. Wine's Winsock only knows sockets that
//! the process has created itself, so a received socket is rejected as an object of another kind.

use crate::Rights;

#[cfg(not(windows))]
syshandle_types::impl_handle!(
    crate::Seqpacket => crate::Declaration::socket(crate::Sockets::SEQPACKET)
);

/// The rights of every socket. The kernel enforces neither of them.
pub(crate) const RIGHTS: Rights = Rights::READ.union(Rights::WRITE);
