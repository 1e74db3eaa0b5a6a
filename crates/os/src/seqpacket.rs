//! Sockets that transfer messages with handles (`AF_UNIX`, `SOCK_SEQPACKET`).
//!
//! Each message is sent and received by one system call, so its handles always arrive together with
//! its bytes.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::sockopt::Timeout;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::sys::{ioctl, message, option};
use crate::system_call::failed;
use crate::{BorrowedHandle, Credentials, OwnedHandle, Peer, UnconnectedSocket};

#[cfg(test)]
mod tests;
mod wait;

pub use wait::{WaitOutcome, wait_readable};

/// Maximum number of handles in one message, which is the kernel's limit (`SCM_MAX_FD`).
pub const HANDLES_PER_MESSAGE_MAX: usize = message::DESCRIPTORS_MAX;

/// One end of a connection.
#[derive(Debug)]
pub struct Seqpacket {
    fd: OwnedFd,
    /// The receive timeout currently set on the socket for [`Seqpacket::receive_within`], in
    /// milliseconds; 0 until one is set.
    timeout_ms: AtomicU32,
    /// Whether no other process has this end, so that only this process can change its options.
    is_exclusive: bool,
}

/// The result of receiving a message.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ReceivedMessage {
    /// The number of bytes received; 0 at the end of the connection.
    pub len: usize,
    /// Whether the message had more bytes than the buffer.
    pub bytes_truncated: bool,
    /// Whether some of the message's handles were not received. The reason is a limit of this
    /// process, or a security policy that denied it the handles.
    pub handles_truncated: bool,
    /// The sender of the message, on a connection made with [`Seqpacket::connect`].
    pub sender: Option<Credentials>,
    /// A pidfd of the sending process, if [`Seqpacket::pass_sender_processes`] or another holder of
    /// the socket enabled it.
    pub sender_process: Option<OwnedHandle>,
    /// Whether the kernel attached a control message of a type unknown to this crate. It may have
    /// contained descriptors, which then have no owner, so end the connection.
    pub unknown_control: bool,
}

impl Seqpacket {
    /// Creates two connected ends.
    ///
    /// # Errors
    /// Returns the errors of
    /// [`socketpair(2)`](https://man7.org/linux/man-pages/man2/socketpair.2.html).
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(failed("socketpair"))?;
        Ok((Self::exclusive(a), Self::exclusive(b)))
    }

    /// Takes over one end of a connection that another process created or passed on. Makes the
    /// descriptor close-on-exec and blocking.
    ///
    /// # Errors
    /// `InvalidInput` if the descriptor is not a `SOCK_SEQPACKET` socket of the family `AF_UNIX`,
    /// or if it is not connected.
    #[doc(hidden)]
    pub fn adopt(fd: OwnedFd) -> io::Result<Self> {
        if crate::sys::socket::identify(fd.as_fd()) != Ok(crate::Object::Seqpacket) {
            let what = "a connection is a socket of the family AF_UNIX and the type SOCK_SEQPACKET";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let close_on_exec = rustix::io::FdFlags::CLOEXEC;
        rustix::io::fcntl_setfd(&fd, close_on_exec).map_err(failed("fcntl(F_SETFD)"))?;
        rustix::io::ioctl_fionbio(&fd, false).map_err(failed("ioctl(FIONBIO)"))?;
        Ok(fd.into())
    }

    /// Returns whether a socket is one end of a connection, and not an unconnected or listening
    /// socket.
    pub fn is_connected(socket: BorrowedFd<'_>) -> bool {
        rustix::net::getpeername(socket).is_ok()
    }

    /// Connects to the socket at `path`, and makes the kernel report the sender of each message.
    ///
    /// If the listener's queue is full, waits until `deadline`.
    ///
    /// # Errors
    /// Returns the errors of [`UnconnectedSocket::connect`].
    pub fn connect(path: &Path, deadline: Instant) -> io::Result<Self> {
        UnconnectedSocket::new()?.connect(path, deadline).map_err(|(_, error)| error)
    }

    /// Makes the kernel report the sender of each message that arrives from now on
    /// ([`ReceivedMessage::sender`]).
    ///
    /// # Errors
    /// Returns the errors of `SO_PASSCRED` in
    /// [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
    #[doc(hidden)]
    pub fn name_senders(&self) -> io::Result<()> {
        let set = rustix::net::sockopt::set_socket_passcred(&self.fd, true);
        set.map_err(failed("setsockopt(SO_PASSCRED)"))
    }

    /// Makes the kernel attach a pidfd of the sender to each message
    /// ([`ReceivedMessage::sender_process`]).
    ///
    /// # Errors
    /// Returns the errors of `SO_PASSPIDFD`, for example `ENOPROTOOPT` before Linux 6.5.
    #[doc(hidden)]
    pub fn pass_sender_processes(&self) -> io::Result<()> {
        option::set(self.fd.as_fd(), option::SO_PASSPIDFD, true)
    }

    /// Undoes [`Seqpacket::pass_sender_processes`].
    ///
    /// # Errors
    /// Returns the errors of `SO_PASSPIDFD`.
    #[doc(hidden)]
    pub fn stop_passing_sender_processes(&self) -> io::Result<()> {
        option::set(self.fd.as_fd(), option::SO_PASSPIDFD, false)
    }

    /// Undoes [`Seqpacket::name_senders`], which takes time for each message. Call this once the
    /// sender is known.
    ///
    /// # Errors
    /// Returns the errors of `SO_PASSCRED`.
    #[doc(hidden)]
    pub fn stop_naming_senders(&self) -> io::Result<()> {
        let set = rustix::net::sockopt::set_socket_passcred(&self.fd, false);
        set.map_err(failed("setsockopt(SO_PASSCRED)"))
    }

    /// Accepts handles from now on. Has no effect before Linux 6.16, where sockets always accept
    /// handles.
    ///
    /// # Errors
    /// Returns the errors of `setsockopt(2)`, except for an unknown option.
    #[doc(hidden)]
    pub fn accept_handles(&self) -> io::Result<()> {
        pass_rights(self.fd.as_fd(), true)
    }

    /// Sends one message with its handles, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if the other end must receive messages first; `BrokenPipe` if the other end is
    /// closed; `PermissionDenied` if it does not accept handles.
    #[inline]
    pub fn send(&self, parts: &[IoSlice<'_>], handles: &[BorrowedHandle<'_>]) -> io::Result<()> {
        message::send(self.fd.as_fd(), parts, handles).map(drop)
    }

    /// Receives one message, without waiting, and appends its handles to `handles`. The kernel
    /// opens them close-on-exec.
    ///
    /// # Errors
    /// `WouldBlock` if there is no message; `ConnectionReset` if the other end was closed before it
    /// read all messages. Messages that the other end had already sent can still be received after
    /// that error.
    #[inline]
    pub fn receive(
        &self,
        bytes: &mut [u8],
        handles: &mut impl Extend<OwnedHandle>,
    ) -> io::Result<ReceivedMessage> {
        message::receive(self.fd.as_fd(), bytes, handles, false)
    }

    /// Receives one message, waiting at most `timeout`. If no other process has this end, a single
    /// system call waits and receives (`SO_RCVTIMEO`). The kernel then rounds a long timeout up, by
    /// as much as an eighth. Use this only to wait for a few milliseconds, and don't use it to
    /// enforce a deadline.
    ///
    /// # Errors
    /// `WouldBlock` after the timeout; `Interrupted` by a signal; and the errors of
    /// [`Seqpacket::receive`].
    #[inline]
    pub fn receive_within(
        &self,
        bytes: &mut [u8],
        handles: &mut impl Extend<OwnedHandle>,
        timeout: Duration,
    ) -> io::Result<ReceivedMessage> {
        self.wait_within(timeout, |wait| message::receive(self.fd.as_fd(), bytes, handles, wait))
    }

    /// Calls `receive` within the timeout. The argument of `receive` says whether it should wait
    /// itself.
    #[inline]
    pub(crate) fn wait_within<T>(
        &self,
        timeout: Duration,
        mut receive: impl FnMut(bool) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.is_exclusive {
            let whole_ms = timeout.as_secs().saturating_mul(1_000);
            let timeout_ms = whole_ms.saturating_add(timeout.subsec_millis().into());
            let timeout_ms = u32::try_from(timeout_ms).unwrap_or(u32::MAX).max(1);
            if self.timeout_ms.load(Ordering::Relaxed) != timeout_ms {
                self.set_timeout(timeout_ms)?;
            }
        } else {
            // A relative timeout needs no read of the clock.
            let timeout = Timespec::try_from(timeout).map_err(|_| io::ErrorKind::InvalidInput)?;
            let mut polls = [PollFd::new(&self.fd, PollFlags::IN)];
            if rustix::event::poll(&mut polls, Some(&timeout))? == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        receive(self.is_exclusive)
    }

    #[cold]
    fn set_timeout(&self, timeout_ms: u32) -> io::Result<()> {
        let timeout = Duration::from_millis(timeout_ms.into());
        rustix::net::sockopt::set_socket_timeout(&self.fd, Timeout::Recv, Some(timeout))?;
        self.timeout_ms.store(timeout_ms, Ordering::Relaxed);
        Ok(())
    }

    /// Wraps a socket that this process has created or accepted, so that no other process has this
    /// end.
    pub(crate) fn exclusive(fd: OwnedFd) -> Self {
        Self { fd, timeout_ms: AtomicU32::new(0), is_exclusive: true }
    }

    /// Doubles the send buffer, up to the system's limit, so that more messages can wait to be
    /// received.
    ///
    /// # Errors
    /// Returns the errors of `SO_SNDBUF` in
    /// [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html).
    #[doc(hidden)]
    pub fn enlarge_room(&self) -> io::Result<()> {
        // The kernel doubles the value, so the current size is passed.
        let size = rustix::net::sockopt::socket_send_buffer_size(&self.fd)?;
        Ok(rustix::net::sockopt::set_socket_send_buffer_size(&self.fd, size)?)
    }

    /// Returns how many bytes of sent messages the other end has not received yet. The kernel
    /// counts the memory that each message uses, so even an empty message counts.
    ///
    /// # Errors
    /// Returns the errors of `SIOCOUTQ` in
    /// [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
    #[doc(hidden)]
    pub fn unread_bytes(&self) -> io::Result<usize> {
        ioctl::unsent_bytes(self.fd.as_fd())
    }

    /// Returns whether a nonempty message is waiting to be received.
    #[doc(hidden)]
    pub fn has_message(&self) -> bool {
        // If the peer has closed the connection, the kernel reports that once before it reports the
        // queued messages. So a second query may find a message.
        (0..2).any(|_| matches!(message::is_at_end(self.fd.as_fd()), Ok(false)))
    }

    /// Shuts down the connection for all holders of this end. Returns whether the receive queue is
    /// empty.
    ///
    /// If the queue is not empty, it may contain handles. Closing the socket then closes them,
    /// which can block, so use a [`Closer`](crate::Closer).
    #[doc(hidden)]
    pub fn end_and_check_empty(&self) -> bool {
        self.shut_down();
        // `SO_PASSCRED` makes the kernel distinguish an empty message from the end of the stream.
        self.name_senders().is_ok() && matches!(message::is_at_end(self.fd.as_fd()), Ok(true))
    }

    /// Shuts down the direction from this end to the other. The other end then receives nothing.
    #[doc(hidden)]
    pub fn shut_down_sending(&self) {
        // The call can only fail if the connection was already shut down.
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Write);
    }

    /// Returns whether this end can only send, because the other end called
    /// [`shut_down_sending`](Self::shut_down_sending).
    #[doc(hidden)]
    pub fn can_only_send(&self) -> bool {
        let mut polls = [PollFd::new(&self.fd, PollFlags::RDHUP)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let polled = rustix::event::poll(&mut polls, Some(&now));
        // The kernel also reports HUP if both directions were shut down.
        polled.is_ok() && polls[0].revents() == PollFlags::RDHUP
    }

    /// Returns whether the other end was closed. Messages that it has sent can still be received.
    #[doc(hidden)]
    pub fn has_hung_up(&self) -> bool {
        let mut polls = [PollFd::new(&self.fd, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let polled = rustix::event::poll(&mut polls, Some(&now));
        polled.is_ok() && polls[0].revents().contains(PollFlags::HUP)
    }

    /// Shuts down the connection for all holders of this end. Queued messages can still be
    /// received.
    #[doc(hidden)]
    pub fn shut_down(&self) {
        // The call can only fail if the connection was already shut down.
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Both);
    }
}

impl Peer for Seqpacket {}

impl AsFd for Seqpacket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Wraps a descriptor of unknown origin. Another process may have this end too, and may change its
/// options.
impl From<OwnedFd> for Seqpacket {
    fn from(fd: OwnedFd) -> Self {
        Self { fd, timeout_ms: AtomicU32::new(0), is_exclusive: false }
    }
}

impl From<Seqpacket> for OwnedFd {
    fn from(socket: Seqpacket) -> Self {
        socket.fd
    }
}

/// Sets whether the socket accepts descriptors. Has no effect before Linux 6.16. On such kernels, a
/// connection discards descriptors that arrive too early.
pub(crate) fn pass_rights(socket: BorrowedFd<'_>, pass: bool) -> io::Result<()> {
    match option::set(socket, option::SO_PASSRIGHTS, pass) {
        Err(error) if error.raw_os_error() == Some(Errno::NOPROTOOPT.raw_os_error()) => Ok(()),
        result => result.map_err(failed("setsockopt(SO_PASSRIGHTS)")),
    }
}
