//! Sockets, and their family and type.

use rustix::net::{AddressFamily, SocketType};

use crate::{BorrowedHandle, Object};

/// Returns the family and type of a socket.
///
/// # Errors
/// `ENOTSOCK` if the handle is not a socket.
pub(crate) fn identify(handle: BorrowedHandle<'_>) -> rustix::io::Result<Object> {
    let sort = rustix::net::sockopt::socket_type(handle)?;
    if sort == SocketType::DGRAM {
        return Ok(match rustix::net::sockopt::socket_domain(handle)? {
            AddressFamily::UNIX => Object::UnixDatagram,
            AddressFamily::INET | AddressFamily::INET6 => Object::UdpSocket,
            _ => Object::Socket,
        });
    }
    // Uses one query for both facts: a socket with a peer isn't listening, and has the same family
    // as its peer.
    let (family, listens) = match rustix::net::getpeername(handle) {
        Ok(Some(peer)) => (peer.address_family(), false),
        _ => (
            rustix::net::sockopt::socket_domain(handle)?,
            rustix::net::sockopt::socket_acceptconn(handle)?,
        ),
    };
    Ok(match (family, sort, listens) {
        (AddressFamily::UNIX, SocketType::STREAM, false) => Object::UnixStream,
        (AddressFamily::UNIX, SocketType::STREAM, true) => Object::UnixListener,
        (AddressFamily::UNIX, SocketType::SEQPACKET, false) => Object::Seqpacket,
        (AddressFamily::UNIX, SocketType::SEQPACKET, true) => Object::SeqpacketListener,
        (AddressFamily::INET | AddressFamily::INET6, SocketType::STREAM, false) => {
            Object::TcpStream
        }
        (AddressFamily::INET | AddressFamily::INET6, SocketType::STREAM, true) => {
            Object::TcpListener
        }
        (AddressFamily::VSOCK, SocketType::STREAM, false) => Object::VsockStream,
        (AddressFamily::VSOCK, SocketType::STREAM, true) => Object::VsockListener,
        _ => Object::Socket,
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    use super::*;
    use crate::{Handle, Requirement, Seqpacket, Sockets, prove};

    #[test]
    fn each_sort_of_socket_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let told = |socket: &dyn AsFd| identify(socket.as_fd()).unwrap();
        let (stream, _other) = UnixStream::pair().unwrap();
        assert_eq!(told(&stream), Object::UnixStream);
        assert_eq!(told(&UnixDatagram::unbound().unwrap()), Object::UnixDatagram);
        let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        assert_eq!(told(&listener), Object::UnixListener);
        assert_eq!(told(&Seqpacket::pair().unwrap().0), Object::Seqpacket);
        let listener = crate::Listener::bind(&dir.path().join("seqpacket")).unwrap();
        assert_eq!(told(&listener), Object::SeqpacketListener);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(told(&listener), Object::TcpListener);
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(told(&stream), Object::TcpStream);
        assert_eq!(told(&UdpSocket::bind("[::1]:0").unwrap()), Object::UdpSocket);
    }

    #[test]
    fn a_stream_whose_peer_is_gone_is_still_a_stream() {
        let (stream, other) = UnixStream::pair().unwrap();
        drop(other);
        assert_eq!(identify(stream.as_fd()), Ok(Object::UnixStream));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        drop(listener);
        assert_eq!(identify(stream.as_fd()), Ok(Object::TcpStream));
    }

    #[test]
    fn a_listener_is_no_stream() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(prove(listener.as_fd(), &TcpListener::DECLARATION).is_ok());
        let Err(crate::ProofFailure::Mismatch(mismatch)) =
            prove(listener.as_fd(), &TcpStream::DECLARATION)
        else {
            panic!("a listener passed as a stream");
        };
        assert_eq!(mismatch.expected, Requirement::Sockets(Sockets::TCP_STREAM));
        assert_eq!(mismatch.to_string(), "expected a socket (tcp_stream), got a tcp listener");
    }

    #[test]
    fn a_sort_has_the_name_that_an_interface_writes() {
        assert_eq!(Sockets::from_word("unix_stream"), Some(Sockets::UNIX_STREAM));
        assert_eq!(Sockets::from_word("Unix_stream"), None);
        let both = Sockets::UNIX_STREAM | Sockets::TCP_STREAM;
        assert_eq!(both.to_string(), "unix_stream | tcp_stream");
    }
}
