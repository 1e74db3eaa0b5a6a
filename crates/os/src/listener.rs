//! Sockets with a path in the file system, on which servers listen and to which clients connect.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::Seqpacket;
use crate::seqpacket::pass_rights;
use crate::sys::{listen, option};

/// A socket that isn't connected yet. It can be reused after a failed attempt.
#[derive(Debug)]
pub struct UnconnectedSocket(OwnedFd);

impl UnconnectedSocket {
    /// Creates a socket with `SO_PASSCRED`, so that the kernel reports the sender of each message.
    ///
    /// # Errors
    /// Fails if this process can't open more file descriptors.
    pub fn new() -> io::Result<Self> {
        let socket = socket(SocketFlags::NONBLOCK)?;
        rustix::net::sockopt::set_socket_passcred(&socket, true)?;
        Ok(Self(socket))
    }

    /// Connects to the socket at `path`. If the listener's queue is full, waits until `deadline`.
    ///
    /// # Errors
    /// Returns the socket and the error of [`Self::try_connect`]; `TimedOut` after the deadline.
    pub fn connect(self, path: &Path, deadline: Instant) -> Result<Seqpacket, (Self, io::Error)> {
        let (mut socket, mut pause) = (self, Self::FIRST_PAUSE);
        loop {
            socket = match socket.try_connect(path) {
                Err((socket, error)) if error.kind() == io::ErrorKind::WouldBlock => socket,
                result => return result,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err((socket, io::ErrorKind::TimedOut.into()));
            }
            std::thread::sleep(pause.min(left));
            pause = Self::next_pause(pause);
        }
    }

    /// Connects to the socket at `path`, without waiting.
    ///
    /// # Errors
    /// Returns the socket and the error of
    /// [`connect(2)`](https://man7.org/linux/man-pages/man2/connect.2.html): `NotFound` if the path
    /// doesn't exist, `ConnectionRefused` if no process listens, `WouldBlock` if the listener's
    /// queue is full.
    pub fn try_connect(self, path: &Path) -> Result<Seqpacket, (Self, io::Error)> {
        let connected = address(path).and_then(|address| {
            rustix::io::retry_on_intr(|| rustix::net::connect(&self.0, &address))?;
            Ok(rustix::io::ioctl_fionbio(&self.0, false)?)
        });
        match connected {
            Ok(()) => Ok(Seqpacket::exclusive(self.0)),
            Err(error) => Err((self, error)),
        }
    }

    /// Pause before the second attempt to connect to a listener whose queue is full. The kernel
    /// reports no event when the queue has room again.
    pub const FIRST_PAUSE: Duration = Duration::from_micros(100);

    /// Returns the pause before the attempt after the next one.
    pub fn next_pause(pause: Duration) -> Duration {
        (pause * 2).min(Duration::from_millis(10))
    }
}

/// Returns the socket address of a path. Rejects an empty path and a path that begins with a zero
/// byte, because the kernel would not interpret them as names in the file system.
fn address(path: &Path) -> io::Result<SocketAddrUnix> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.contains(&0) || !(1..=PATH_MAX).contains(&bytes.len()) {
        let text = format!(
            "the path of a socket has 1 to {PATH_MAX} bytes and no zero byte; this one has {} bytes",
            bytes.len()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(SocketAddrUnix::new(path)?)
}

/// Maximum length of a path. `sun_path` has 108 bytes, including the terminating zero.
const PATH_MAX: usize = 107;

/// A socket that clients connect to.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Creates the socket at `path` and listens on it. From then on clients can queue, up to the
    /// system's limit (`net.core.somaxconn`).
    ///
    /// # Errors
    /// Returns the errors of [`bind(2)`](https://man7.org/linux/man-pages/man2/bind.2.html), for
    /// example `AddrInUse` if the path exists.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let socket = socket(SocketFlags::NONBLOCK)?;
        rustix::net::bind(&socket, &address(path)?)?;
        Self::listen(socket)
    }

    /// Takes over a socket that another process has bound. Calls `listen` again, so that the kernel
    /// reports this process to clients instead of the other one. Also makes the kernel reject
    /// handles until a client is accepted.
    ///
    /// # Errors
    /// `InvalidInput` if the descriptor is not a `SOCK_SEQPACKET` socket of the family `AF_UNIX`;
    /// otherwise the errors of `listen(2)`.
    pub fn adopt(socket: OwnedFd) -> io::Result<Self> {
        let right = rustix::net::sockopt::socket_domain(&socket)? == AddressFamily::UNIX
            && rustix::net::sockopt::socket_type(&socket)? == SocketType::SEQPACKET;
        if !right {
            let what = "a server's socket is of the family AF_UNIX and the type SOCK_SEQPACKET";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        rustix::io::ioctl_fionbio(&socket, true)?;
        Self::listen(socket)
    }

    fn listen(socket: OwnedFd) -> io::Result<Self> {
        // Accepted sockets inherit these options. If the kernel doesn't know an option, the option
        // can't be enabled either.
        for option in option::CONTROL_OPTIONS {
            let _ = option::set(socket.as_fd(), option, false);
        }
        pass_rights(socket.as_fd(), false)?;
        rustix::net::listen(&socket, listen::BACKLOG)?;
        Ok(Self(socket))
    }

    /// Returns the path to which the socket is bound; `None` if its address is not a path.
    ///
    /// # Errors
    /// Returns the errors of
    /// [`getsockname(2)`](https://man7.org/linux/man-pages/man2/getsockname.2.html).
    pub fn path(&self) -> io::Result<Option<PathBuf>> {
        let address = SocketAddrUnix::try_from(rustix::net::getsockname(&self.0)?)?;
        Ok(address.path_bytes().map(|path| PathBuf::from(OsStr::from_bytes(path))))
    }

    /// Accepts the next client in the queue, without waiting.
    ///
    /// # Errors
    /// Returns the errors of [`accept(2)`](https://man7.org/linux/man-pages/man2/accept.2.html),
    /// for example `WouldBlock` if the queue is empty.
    pub fn accept(&self) -> io::Result<Seqpacket> {
        loop {
            match rustix::net::accept_with(&self.0, SocketFlags::CLOEXEC) {
                Ok(socket) => return Ok(Seqpacket::exclusive(socket)),
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes new clients fail to connect. Clients in the queue can still be accepted.
    pub fn shut_down(&self) {
        // This can only fail if the socket was shut down before.
        let _ = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Both);
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Takes the listening socket that the service manager passed to this program as described in
/// [sd_listen_fds(3)](https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html).
/// Returns `None` if there is none, or if it was already taken.
///
/// # Errors
/// `InvalidInput` if the program received more than one socket.
pub fn take_listener() -> io::Result<Option<OwnedFd>> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    if number("LISTEN_PID") != Some(std::process::id()) {
        return Ok(None);
    }
    match number("LISTEN_FDS") {
        Some(1) => Ok(listen::take_first()),
        None | Some(0) => Ok(None),
        Some(count) => {
            let what = format!("{count} sockets were passed, and a server has one");
            Err(io::Error::new(io::ErrorKind::InvalidInput, what))
        }
    }
}

fn socket(flags: SocketFlags) -> io::Result<OwnedFd> {
    let flags = flags | SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::IoSlice;

    use super::*;
    use crate::Peer;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn a_client_is_refused_its_handles_until_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = Listener::bind(&path).unwrap();
        if option::set(listener.as_fd(), option::SO_PASSRIGHTS, false).is_err() {
            println!("skipped: this kernel has no SO_PASSRIGHTS (Linux 6.16)");
            return;
        }
        let client = Seqpacket::connect(&path, soon()).unwrap();
        let early = client.send(&[IoSlice::new(b"x")], &[dir_handle(&dir).as_fd()]).unwrap_err();
        assert_eq!(early.kind(), io::ErrorKind::PermissionDenied);
        let server = listener.accept().unwrap();
        server.accept_handles().unwrap();
        client.send(&[IoSlice::new(b"x")], &[dir_handle(&dir).as_fd()]).unwrap();
    }

    #[test]
    fn the_kernel_names_the_sender_and_the_peer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = Listener::bind(&path).unwrap();
        let client = Seqpacket::connect(&path, soon()).unwrap();
        let server = listener.accept().unwrap();
        server.send(&[IoSlice::new(b"hello")], &[]).unwrap();
        let sender = client.receive(&mut [0; 8], &mut Vec::new()).unwrap().sender.unwrap();
        assert_eq!(sender.pid, std::process::id());
        assert_eq!(server.peer().unwrap().uid, own_uid());
    }

    #[test]
    fn a_missing_socket_is_not_found_and_one_without_a_listener_refuses() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        assert_eq!(Seqpacket::connect(&path, soon()).unwrap_err().kind(), io::ErrorKind::NotFound);
        drop(Listener::bind(&path).unwrap());
        let refused = Seqpacket::connect(&path, soon()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    fn dir_handle(dir: &tempfile::TempDir) -> File {
        File::open(dir.path()).unwrap()
    }

    fn own_uid() -> crate::UserId {
        crate::UserId::current()
    }
}
