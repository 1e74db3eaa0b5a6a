//! Sockets that carry messages with handles: `AF_UNIX`, `SOCK_SEQPACKET`.
//!
//! One message is one system call at each side, and its handles can't drift to another message.

use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::sockopt::Timeout;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::sys::{listen, message, option};
use crate::wait::poll;
use crate::{BorrowedHandle, Credentials, ManualEvent, OwnedHandle, Peer, Waitable};

/// The most handles that go with one message: the kernel's own limit (`SCM_MAX_FD`).
pub const HANDLES_PER_MESSAGE_MAX: usize = message::DESCRIPTORS_MAX;

/// One end of a connection.
#[derive(Debug)]
pub struct Seqpacket {
    fd: OwnedFd,
    /// How long the kernel waits in [`Seqpacket::receive_within`]; 0 until that was set.
    patience_ms: AtomicU32,
}

/// A message that came.
#[derive(Debug)]
#[non_exhaustive]
pub struct Received {
    /// How many bytes; 0 at the end of the connection.
    pub len: usize,
    /// It had more bytes than there was room for.
    pub bytes_truncated: bool,
    /// It had more handles than came: a limit of this process, or it may not have them.
    pub handles_truncated: bool,
    /// Who sent it, on a connection made with [`Seqpacket::connect`].
    pub sender: Option<Credentials>,
}

/// How a wait beside a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The object was taken.
    Taken,
    /// The other end of the connection is gone.
    PeerGone,
    /// The wait was cancelled.
    Cancelled,
    /// The deadline passed.
    TimedOut,
}

impl Seqpacket {
    /// Two connected ends.
    ///
    /// # Errors
    /// Those of [`socketpair(2)`](https://man7.org/linux/man-pages/man2/socketpair.2.html).
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((a.into(), b.into()))
    }

    /// Connects to the socket at `path`, and asks the kernel to name the sender of each message.
    ///
    /// Waits, until `deadline`, where the listener's queue is full.
    ///
    /// # Errors
    /// Those of [`Unconnected::connect`].
    pub fn connect(path: &Path, deadline: Instant) -> io::Result<Self> {
        Unconnected::new()?.connect(path, deadline).map_err(|(_, error)| error)
    }

    /// Asks the kernel to name the sender of each message that comes from now on.
    ///
    /// # Errors
    /// Those of `SO_PASSCRED` in [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
    pub fn name_senders(&self) -> io::Result<()> {
        Ok(rustix::net::sockopt::set_socket_passcred(&self.fd, true)?)
    }

    /// Whose messages come is known: they needn't be named any more, which takes time for each.
    ///
    /// # Errors
    /// Those of `SO_PASSCRED`.
    pub fn stop_naming_senders(&self) -> io::Result<()> {
        Ok(rustix::net::sockopt::set_socket_passcred(&self.fd, false)?)
    }

    /// Lets handles through from now on; a no-op before Linux 6.16, which always lets them.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`, but for an unknown option.
    pub fn accept_handles(&self) -> io::Result<()> {
        pass_rights(self.fd.as_fd(), true)
    }

    /// Sends one message with its handles; doesn't wait.
    ///
    /// # Errors
    /// `WouldBlock` when the other side has to read first; `BrokenPipe` when it is gone;
    /// `PermissionDenied` when it doesn't accept handles.
    #[inline]
    pub fn send(&self, parts: &[IoSlice<'_>], handles: &[BorrowedHandle<'_>]) -> io::Result<()> {
        message::send(self.fd.as_fd(), parts, handles).map(drop)
    }

    /// Receives one message; doesn't wait. Its handles are appended to `handles`, and this process
    /// owns them from the first instruction, close-on-exec.
    ///
    /// # Errors
    /// `WouldBlock` without a message; `ConnectionReset` when the other end closed with messages
    /// of ours unread: its own that are still queued come after that.
    #[inline]
    pub fn receive(
        &self,
        bytes: &mut [u8],
        handles: &mut impl Extend<OwnedHandle>,
    ) -> io::Result<Received> {
        message::receive(self.fd.as_fd(), bytes, handles, false)
    }

    /// The same, but waits for a message in the same system call: no longer than `patience`, and
    /// up to 20 ms less, because how long the kernel waits isn't set anew each time.
    ///
    /// # Errors
    /// `WouldBlock` when that time has passed; `Interrupted` by a signal; else those of
    /// [`Seqpacket::receive`].
    #[inline]
    pub fn receive_within(
        &self,
        bytes: &mut [u8],
        handles: &mut impl Extend<OwnedHandle>,
        patience: Duration,
    ) -> io::Result<Received> {
        let whole_ms = patience.as_secs().saturating_mul(1_000);
        let patience_ms = whole_ms.saturating_add(patience.subsec_millis().into());
        let patience_ms = u32::try_from(patience_ms).unwrap_or(u32::MAX).max(1);
        let set_ms = self.patience_ms.load(Ordering::Relaxed);
        if set_ms == 0 || set_ms > patience_ms || patience_ms - set_ms > PATIENCE_SLACK_MS {
            let timeout = Duration::from_millis(patience_ms.into());
            rustix::net::sockopt::set_socket_timeout(&self.fd, Timeout::Recv, Some(timeout))?;
            self.patience_ms.store(patience_ms, Ordering::Relaxed);
        }
        message::receive(self.fd.as_fd(), bytes, handles, true)
    }

    /// Waits until something can be received, the other end is gone, or the deadline passes: then
    /// `false`.
    ///
    /// # Errors
    /// Those of `poll(2)`.
    pub fn wait_readable(&self, deadline: Instant) -> io::Result<bool> {
        self.wait(PollFlags::IN, deadline)
    }

    /// Waits until something can be sent or received, the other end is gone, or the deadline
    /// passes: then `false`.
    ///
    /// # Errors
    /// Those of `poll(2)`.
    pub fn wait_writable(&self, deadline: Instant) -> io::Result<bool> {
        self.wait(PollFlags::OUT | PollFlags::IN, deadline)
    }

    fn wait(&self, flags: PollFlags, deadline: Instant) -> io::Result<bool> {
        let mut polls = [PollFd::new(&self.fd, flags)];
        Ok(poll(&mut polls, Some(deadline))? > 0)
    }

    /// Waits until an object can be taken, and takes it; or until the other end is gone or `cancel`
    /// is set, which end the wait only if the object can't be taken; or until the deadline passes.
    ///
    /// # Errors
    /// Those of `poll(2)` and of the object's [`Waitable::take`].
    pub fn wait_beside(
        &self,
        object: &dyn Waitable,
        cancel: Option<&ManualEvent>,
        deadline: Instant,
    ) -> io::Result<Waited> {
        loop {
            let mut polls = vec![object.poll_fd(), PollFd::new(&self.fd, PollFlags::RDHUP)];
            polls.extend(cancel.map(|cancel| PollFd::new(cancel, PollFlags::IN)));
            let ready = poll(&mut polls, Some(deadline))?;
            let is_ready =
                |i: usize| polls.get(i).is_some_and(|p: &PollFd<'_>| !p.revents().is_empty());
            match () {
                () if is_ready(0) && object.take()? => return Ok(Waited::Taken),
                () if is_ready(1) => {
                    // It may have been signalled after it was looked at, and before the end.
                    let now = Some(Instant::now());
                    let taken = poll(&mut [object.poll_fd()], now)? > 0 && object.take()?;
                    return Ok(if taken { Waited::Taken } else { Waited::PeerGone });
                }
                () if is_ready(2) => return Ok(Waited::Cancelled),
                () if ready == 0 => return Ok(Waited::TimedOut),
                () => {}
            }
        }
    }

    /// Waits until something can be received or the other end is gone, like
    /// [`Seqpacket::wait_readable`], or until `cancel` is set.
    ///
    /// # Errors
    /// Those of `poll(2)`.
    pub fn wait_readable_or(&self, cancel: &ManualEvent, deadline: Instant) -> io::Result<()> {
        let mut polls = [PollFd::new(&self.fd, PollFlags::IN), PollFd::new(cancel, PollFlags::IN)];
        poll(&mut polls, Some(deadline)).map(drop)
    }

    /// Ends the connection for all who hold this end; what is queued can still be received.
    pub fn shut_down(&self) {
        // It fails only where the connection has ended already.
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Both);
    }
}

impl Peer for Seqpacket {}

impl AsFd for Seqpacket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<OwnedFd> for Seqpacket {
    fn from(fd: OwnedFd) -> Self {
        Self { fd, patience_ms: AtomicU32::new(0) }
    }
}

impl From<Seqpacket> for OwnedFd {
    fn from(socket: Seqpacket) -> Self {
        socket.fd
    }
}

/// A socket that isn't connected yet: where nobody listens, it can be tried again with the same one.
#[derive(Debug)]
pub struct Unconnected(OwnedFd);

impl Unconnected {
    /// A socket that names the sender of each message.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn new() -> io::Result<Self> {
        let socket = socket(SocketFlags::NONBLOCK)?;
        rustix::net::sockopt::set_socket_passcred(&socket, true)?;
        Ok(Self(socket))
    }

    /// Connects to the socket at `path`. Waits, until `deadline`, where the listener's queue is full.
    ///
    /// # Errors
    /// Those of [`connect(2)`](https://man7.org/linux/man-pages/man2/connect.2.html), with the
    /// socket: `NotFound` without a socket there, `ConnectionRefused` when nobody listens;
    /// `TimedOut` past the deadline.
    pub fn connect(self, path: &Path, deadline: Instant) -> Result<Seqpacket, (Self, io::Error)> {
        match self.try_to_connect(path, deadline) {
            Ok(()) => Ok(self.0.into()),
            Err(error) => Err((self, error)),
        }
    }

    fn try_to_connect(&self, path: &Path, deadline: Instant) -> io::Result<()> {
        let address = SocketAddrUnix::new(path)?;
        // There is no event for room in a listener's queue: ask again, ever less often.
        let mut pause = Duration::from_micros(100);
        loop {
            match rustix::net::connect(&self.0, &address) {
                Ok(()) => return Ok(rustix::io::ioctl_fionbio(&self.0, false)?),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if Instant::now() < deadline => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    std::thread::sleep(pause.min(left));
                    pause = (pause * 2).min(Duration::from_millis(10));
                }
                Err(Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A socket that clients connect to.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Makes the socket at `path`, where nothing may be yet, and listens: from now on clients
    /// queue, up to the system's limit (`net.core.somaxconn`).
    ///
    /// # Errors
    /// Those of [`bind(2)`](https://man7.org/linux/man-pages/man2/bind.2.html): `AddrInUse` when
    /// something is there.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let socket = socket(SocketFlags::NONBLOCK)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        Self::listen(socket)
    }

    /// Takes over a socket that somebody else has bound: listens on it again, so that clients
    /// learn this process from the kernel and not that one, and lets no handles through before a
    /// client is accepted.
    ///
    /// # Errors
    /// `InvalidInput` when it is no such socket; else those of `listen(2)`.
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
        pass_rights(socket.as_fd(), false)?;
        rustix::net::listen(&socket, listen::BACKLOG)?;
        Ok(Self(socket))
    }

    /// The path that the socket was bound to; `None` when it has another kind of address.
    ///
    /// # Errors
    /// Those of [`getsockname(2)`](https://man7.org/linux/man-pages/man2/getsockname.2.html).
    pub fn path(&self) -> io::Result<Option<PathBuf>> {
        let address = SocketAddrUnix::try_from(rustix::net::getsockname(&self.0)?)?;
        Ok(address.path_bytes().map(|path| PathBuf::from(OsStr::from_bytes(path))))
    }

    /// Takes the next client that has connected; doesn't wait.
    ///
    /// # Errors
    /// Those of [`accept(2)`](https://man7.org/linux/man-pages/man2/accept.2.html): `WouldBlock`
    /// without a client.
    pub fn accept(&self) -> io::Result<Seqpacket> {
        loop {
            match rustix::net::accept_with(&self.0, SocketFlags::CLOEXEC) {
                Ok(socket) => return Ok(socket.into()),
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Refuses new clients from now on; those that have connected can still be accepted.
    pub fn shut_down(&self) {
        // It fails only where that has happened already.
        let _ = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Both);
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Takes the socket that this program was given by the protocol of
/// [sd_listen_fds(3)](https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html);
/// `None` when it wasn't given one, or it has been taken.
///
/// # Errors
/// `InvalidInput` when it was given more than one.
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

/// Kernels before 6.16 don't know the option: there the connection drops what comes too early.
fn pass_rights(socket: BorrowedFd<'_>, pass: bool) -> io::Result<()> {
    match option::set_pass_rights(socket, pass) {
        Err(error) if error.raw_os_error() == Some(Errno::NOPROTOOPT.raw_os_error()) => Ok(()),
        result => result,
    }
}

/// The kernel counts such waits in ticks of its own of some milliseconds anyway.
const PATIENCE_SLACK_MS: u32 = 20;

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn handles_arrive_with_their_message_close_on_exec() {
        let (a, b) = Seqpacket::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        a.send(&[IoSlice::new(b"one"), IoSlice::new(b" file")], &[file.as_fd()]).unwrap();
        a.send(&[IoSlice::new(b"none")], &[]).unwrap();
        let (mut bytes, mut handles) = ([0; 64], Vec::new());
        let received = b.receive(&mut bytes, &mut handles).unwrap();
        assert_eq!(&bytes[..received.len], b"one file");
        let arrived = File::from(handles.pop().unwrap());
        assert_eq!(arrived.metadata().unwrap().ino(), file.metadata().unwrap().ino());
        assert!(rustix::io::fcntl_getfd(&arrived).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        assert_eq!(b.receive(&mut bytes, &mut handles).unwrap().len, 4);
        assert!(handles.is_empty());
    }

    #[test]
    fn as_many_handles_as_the_kernel_allows_arrive() {
        let (a, b) = Seqpacket::pair().unwrap();
        let handle = a.as_fd();
        a.send(&[IoSlice::new(b"x")], &[handle; HANDLES_PER_MESSAGE_MAX]).unwrap();
        let mut handles = Vec::new();
        b.receive(&mut [0; 8], &mut handles).unwrap();
        assert_eq!(handles.len(), HANDLES_PER_MESSAGE_MAX);
        assert!(a.send(&[IoSlice::new(b"x")], &[handle; HANDLES_PER_MESSAGE_MAX + 1]).is_err());
    }

    #[test]
    fn a_wait_for_a_message_ends_with_it_or_with_the_time() {
        let (a, b) = Seqpacket::pair().unwrap();
        let (mut bytes, mut handles) = ([0; 8], Vec::new());
        let start = Instant::now();
        let patience = Duration::from_millis(30);
        let error = b.receive_within(&mut bytes, &mut handles, patience).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(start.elapsed() >= Duration::from_millis(10));
        let sender = std::thread::spawn(move || {
            a.send(&[IoSlice::new(b"late")], &[]).unwrap();
            a
        });
        let received = b.receive_within(&mut bytes, &mut handles, Duration::from_secs(30)).unwrap();
        assert_eq!(received.len, 4);
        drop(sender.join());
        assert_eq!(b.receive_within(&mut bytes, &mut handles, patience).unwrap().len, 0);
    }

    #[test]
    fn a_message_larger_than_the_room_says_so() {
        let (a, b) = Seqpacket::pair().unwrap();
        a.send(&[IoSlice::new(&[7; 100])], &[]).unwrap();
        assert!(b.receive(&mut [0; 10], &mut Vec::new()).unwrap().bytes_truncated);
    }

    #[test]
    fn a_client_is_refused_its_handles_until_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = Listener::bind(&path).unwrap();
        if option::set_pass_rights(listener.as_fd(), false).is_err() {
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
    fn connecting_to_nothing_is_not_found_and_to_nobody_refused() {
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

    fn own_uid() -> u32 {
        crate::own_user()
    }
}
