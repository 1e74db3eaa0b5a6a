//! Sockets that carry messages with handles: `AF_UNIX`, `SOCK_SEQPACKET`.
//!
//! One message is one system call on each side, so its handles always arrive with its bytes.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::sockopt::Timeout;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::sys::wait::poll;
use crate::sys::{ioctl, message, option};
use crate::system_call::failed;
use crate::{
    BorrowedHandle, Credentials, ManualEvent, OwnedHandle, Peer, UnconnectedSocket, Waitable,
};

/// Limits the handles of one message; this is the kernel's own limit (`SCM_MAX_FD`).
pub const HANDLES_PER_MESSAGE_MAX: usize = message::DESCRIPTORS_MAX;

/// One end of a connection.
#[derive(Debug)]
pub struct Seqpacket {
    fd: OwnedFd,
    /// The receive timeout set on the socket for [`Seqpacket::receive_within`]; 0 until it is set.
    patience_ms: AtomicU32,
    /// Whether no other process holds this end. Then no other process can change its options.
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
    /// Whether the message had more handles than were received, because of a limit of this process
    /// or because it may not have them.
    pub handles_truncated: bool,
    /// The sender of the message, on a connection made with [`Seqpacket::connect`].
    pub sender: Option<Credentials>,
    /// A pidfd of the sending process, if [`Seqpacket::pass_sender_processes`] or another holder of
    /// the socket asked for it.
    pub sender_process: Option<OwnedHandle>,
    /// Whether the kernel attached a control message of a type unknown to this crate. It may have
    /// carried descriptors, which then have no owner: end the connection.
    pub unknown_control: bool,
}

/// The result of a wait for an object that also watches a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitOutcome {
    /// The object was taken.
    Taken,
    /// The other end of the connection is closed.
    PeerGone,
    /// The wait was cancelled.
    Cancelled,
    /// The deadline passed.
    TimedOut,
}

impl Seqpacket {
    /// Makes two connected ends.
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

    /// Takes over one end of a connection that another process made or passed on. Sets the flags
    /// that such a descriptor may lack: close-on-exec and blocking.
    ///
    /// # Errors
    /// `InvalidInput` if the descriptor is not an `AF_UNIX` socket of the type `SOCK_SEQPACKET`, or
    /// if it is not connected.
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

    /// Returns whether a socket is one end of a connection, instead of an unconnected or listening
    /// socket.
    pub fn is_connected(socket: BorrowedFd<'_>) -> bool {
        rustix::net::getpeername(socket).is_ok()
    }

    /// Connects to the socket at `path`, and asks the kernel to name the sender of each message.
    ///
    /// Waits until `deadline` if the listener's queue is full.
    ///
    /// # Errors
    /// Returns the errors of [`UnconnectedSocket::connect`].
    pub fn connect(path: &Path, deadline: Instant) -> io::Result<Self> {
        UnconnectedSocket::new()?.connect(path, deadline).map_err(|(_, error)| error)
    }

    /// Asks the kernel to name the sender of each message that comes from now on.
    ///
    /// # Errors
    /// Returns the errors of `SO_PASSCRED` in
    /// [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
    pub fn name_senders(&self) -> io::Result<()> {
        let set = rustix::net::sockopt::set_socket_passcred(&self.fd, true);
        set.map_err(failed("setsockopt(SO_PASSCRED)"))
    }

    /// Asks the kernel for a pidfd of the sender with each message
    /// ([`ReceivedMessage::sender_process`]).
    ///
    /// # Errors
    /// Returns the errors of `SO_PASSPIDFD`: `ENOPROTOOPT` before Linux 6.5.
    pub fn pass_sender_processes(&self) -> io::Result<()> {
        option::set(self.fd.as_fd(), option::SO_PASSPIDFD, true)
    }

    /// Stops the kernel from passing pidfds, which [`Seqpacket::pass_sender_processes`] began.
    ///
    /// # Errors
    /// Returns the errors of `SO_PASSPIDFD`.
    pub fn stop_passing_sender_processes(&self) -> io::Result<()> {
        option::set(self.fd.as_fd(), option::SO_PASSPIDFD, false)
    }

    /// Stops the kernel from naming senders, which costs time for each message. Use this once the
    /// sender is known.
    ///
    /// # Errors
    /// Returns the errors of `SO_PASSCRED`.
    pub fn stop_naming_senders(&self) -> io::Result<()> {
        let set = rustix::net::sockopt::set_socket_passcred(&self.fd, false);
        set.map_err(failed("setsockopt(SO_PASSCRED)"))
    }

    /// Accepts handles from now on. Does nothing before Linux 6.16, because older sockets always
    /// accept handles.
    ///
    /// # Errors
    /// Returns the errors of `setsockopt(2)`, except for an unknown option.
    pub fn accept_handles(&self) -> io::Result<()> {
        pass_rights(self.fd.as_fd(), true)
    }

    /// Sends one message with its handles, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if the other end has to receive first; `BrokenPipe` if it is closed;
    /// `PermissionDenied` if it doesn't accept handles.
    #[inline]
    pub fn send(&self, parts: &[IoSlice<'_>], handles: &[BorrowedHandle<'_>]) -> io::Result<()> {
        message::send(self.fd.as_fd(), parts, handles).map(drop)
    }

    /// Receives one message, without waiting. Its handles are appended to `handles`. They are
    /// close-on-exec and owned by this process from the first instruction on.
    ///
    /// # Errors
    /// `WouldBlock` without a message; `ConnectionReset` if the other end closed while messages of
    /// this end were unread. Messages that the other end queued before can still be received after
    /// that error.
    #[inline]
    pub fn receive(
        &self,
        bytes: &mut [u8],
        handles: &mut impl Extend<OwnedHandle>,
    ) -> io::Result<ReceivedMessage> {
        message::receive(self.fd.as_fd(), bytes, handles, false)
    }

    /// Receives one message, waiting at most `patience`. If no other process holds this end, one
    /// system call waits and receives, by `SO_RCVTIMEO`. The kernel then rounds the time up, by an
    /// eighth for long times. Therefore this function is for waits of some milliseconds, and no
    /// deadline may depend on it.
    ///
    /// # Errors
    /// `WouldBlock` if that time has passed; `Interrupted` by a signal; and the errors of
    /// [`Seqpacket::receive`].
    #[inline]
    pub fn receive_within(
        &self,
        bytes: &mut [u8],
        handles: &mut impl Extend<OwnedHandle>,
        patience: Duration,
    ) -> io::Result<ReceivedMessage> {
        self.wait_within(patience, |wait| message::receive(self.fd.as_fd(), bytes, handles, wait))
    }

    /// Receives with `receive`, which waits if its argument says so.
    #[inline]
    pub(crate) fn wait_within<T>(
        &self,
        patience: Duration,
        mut receive: impl FnMut(bool) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.is_exclusive {
            let whole_ms = patience.as_secs().saturating_mul(1_000);
            let patience_ms = whole_ms.saturating_add(patience.subsec_millis().into());
            let patience_ms = u32::try_from(patience_ms).unwrap_or(u32::MAX).max(1);
            if self.patience_ms.load(Ordering::Relaxed) != patience_ms {
                self.set_patience(patience_ms)?;
            }
        } else {
            self.wait_readable(Instant::now() + patience)?;
        }
        receive(self.is_exclusive)
    }

    #[cold]
    fn set_patience(&self, patience_ms: u32) -> io::Result<()> {
        let timeout = Duration::from_millis(patience_ms.into());
        rustix::net::sockopt::set_socket_timeout(&self.fd, Timeout::Recv, Some(timeout))?;
        self.patience_ms.store(patience_ms, Ordering::Relaxed);
        Ok(())
    }

    /// Wraps a socket that this process has made or accepted, so that no other process holds this
    /// end.
    pub(crate) fn exclusive(fd: OwnedFd) -> Self {
        Self { fd, patience_ms: AtomicU32::new(0), is_exclusive: true }
    }

    /// Waits until something can be received or the other end is closed; returns `false` if the
    /// deadline passes first.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)`.
    pub fn wait_readable(&self, deadline: Instant) -> io::Result<bool> {
        self.wait(PollFlags::IN, deadline)
    }

    /// Waits until something can be sent or received, or the other end is closed; returns `false`
    /// if the deadline passes first.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)`.
    pub fn wait_writable(&self, deadline: Instant) -> io::Result<bool> {
        self.wait(PollFlags::OUT | PollFlags::IN, deadline)
    }

    /// Waits until something can be sent or the other end is closed; returns `false` if the
    /// deadline passes first. Unlike [`Seqpacket::wait_writable`], continues to wait if something
    /// can be received.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)`.
    pub fn wait_for_room(&self, deadline: Instant) -> io::Result<bool> {
        self.wait(PollFlags::OUT, deadline)
    }

    /// Doubles the buffer for messages that the other end hasn't received, as far as the system
    /// allows.
    ///
    /// # Errors
    /// Returns the errors of `SO_SNDBUF` in
    /// [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html).
    pub fn enlarge_room(&self) -> io::Result<()> {
        // The kernel doubles the value that it is given.
        let size = rustix::net::sockopt::socket_send_buffer_size(&self.fd)?;
        Ok(rustix::net::sockopt::set_socket_send_buffer_size(&self.fd, size)?)
    }

    fn wait(&self, flags: PollFlags, deadline: Instant) -> io::Result<bool> {
        let mut polls = [PollFd::new(&self.fd, flags)];
        Ok(poll(&mut polls, Some(deadline))? > 0)
    }

    /// Waits until an object can be taken, and takes it. The wait also ends if the other end is
    /// closed, if `cancel` is set, or if the deadline passes; the first two count only if the
    /// object can't be taken.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)` and of the object's [`Waitable::take`].
    pub fn wait_beside(
        &self,
        object: &dyn Waitable,
        cancel: Option<&ManualEvent>,
        deadline: Instant,
    ) -> io::Result<WaitOutcome> {
        // Without `cancel`, this placeholder is beyond `count` and is not polled.
        let cancel_fd = cancel.map_or(self.fd.as_fd(), AsFd::as_fd);
        let count = 2 + usize::from(cancel.is_some());
        loop {
            let mut polls = [
                object.poll_fd(),
                PollFd::new(&self.fd, PollFlags::RDHUP),
                PollFd::from_borrowed_fd(cancel_fd, PollFlags::IN),
            ];
            let ready = poll(&mut polls[..count], Some(deadline))?;
            let is_ready = |i: usize| !polls[i].revents().is_empty();
            match () {
                () if is_ready(0) && object.take()? => return Ok(WaitOutcome::Taken),
                () if is_ready(1) => {
                    // The object may have been signalled between the poll and the end of the
                    // connection.
                    let now = Some(Instant::now());
                    let taken = poll(&mut [object.poll_fd()], now)? > 0 && object.take()?;
                    return Ok(if taken { WaitOutcome::Taken } else { WaitOutcome::PeerGone });
                }
                () if is_ready(2) => return Ok(WaitOutcome::Cancelled),
                // Other waiters may take the object each time, so that it is ready again and again.
                () if ready == 0 || Instant::now() >= deadline => return Ok(WaitOutcome::TimedOut),
                () => {}
            }
        }
    }

    /// Waits until something can be received, the other end is closed, `object` may be taken, or
    /// the deadline passes.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)`.
    pub fn wait_readable_beside(
        &self,
        object: &dyn Waitable,
        deadline: Instant,
    ) -> io::Result<ReadySet> {
        let mut polls = [PollFd::new(&self.fd, PollFlags::IN), object.poll_fd()];
        poll(&mut polls, Some(deadline))?;
        let [socket, object] = polls.map(|polled| !polled.revents().is_empty());
        Ok(ReadySet { socket, object })
    }

    /// Waits until something can be received, the other end is closed (as
    /// [`Seqpacket::wait_readable`] does), or `cancel` is set.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)`.
    pub fn wait_readable_or(&self, cancel: &ManualEvent, deadline: Instant) -> io::Result<()> {
        let mut polls = [PollFd::new(&self.fd, PollFlags::IN), PollFd::new(cancel, PollFlags::IN)];
        poll(&mut polls, Some(deadline)).map(drop)
    }

    /// Returns how many bytes of sent messages the other end has not received yet. A message counts
    /// with the memory that the kernel uses for it, so even an empty message counts.
    ///
    /// # Errors
    /// Returns the errors of `SIOCOUTQ` in
    /// [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
    pub fn unread_bytes(&self) -> io::Result<usize> {
        ioctl::unsent_bytes(self.fd.as_fd())
    }

    /// Returns whether a message with content is waiting to be received.
    pub fn has_message(&self) -> bool {
        // The kernel reports the end of the peer once before the queued messages, so a second look
        // may find a message.
        (0..2).any(|_| matches!(message::is_at_end(self.fd.as_fd()), Ok(false)))
    }

    /// Ends the connection for all holders of this end, and returns whether its queue is empty.
    ///
    /// A queue that is not empty may hold handles. Closing the socket closes them, which can block:
    /// use a [`Closer`](crate::Closer) then.
    pub fn end_and_check_empty(&self) -> bool {
        self.shut_down();
        // With this option the kernel distinguishes an empty message from the end of the stream.
        self.name_senders().is_ok() && matches!(message::is_at_end(self.fd.as_fd()), Ok(true))
    }

    /// Ends the connection for all holders of this end. Queued messages can still be received.
    pub fn shut_down(&self) {
        // The call fails only if the connection has ended already.
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Both);
    }
}

impl Peer for Seqpacket {}

impl AsFd for Seqpacket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Wraps a descriptor of unknown origin: another process may hold this end too, and may change its
/// options.
impl From<OwnedFd> for Seqpacket {
    fn from(fd: OwnedFd) -> Self {
        Self { fd, patience_ms: AtomicU32::new(0), is_exclusive: false }
    }
}

impl From<Seqpacket> for OwnedFd {
    fn from(socket: Seqpacket) -> Self {
        socket.fd
    }
}

/// The result of waiting for a socket and an object. After a timeout neither is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadySet {
    /// Whether something can be received, or the other end is closed.
    pub socket: bool,
    /// Whether the object may be taken.
    pub object: bool,
}

/// Kernels before 6.16 don't have the option. There the connection drops handles that arrive too
/// early.
pub(crate) fn pass_rights(socket: BorrowedFd<'_>, pass: bool) -> io::Result<()> {
    match option::set(socket, option::SO_PASSRIGHTS, pass) {
        Err(error) if error.raw_os_error() == Some(Errno::NOPROTOOPT.raw_os_error()) => Ok(()),
        result => result.map_err(failed("setsockopt(SO_PASSRIGHTS)")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    use super::*;

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
    fn control_messages_that_another_holder_asks_for_leave_no_descriptor_and_cost_no_handle() {
        let (a, b) = Seqpacket::pair().unwrap();
        for option in option::CONTROL_OPTIONS.into_iter().chain([option::SO_PASSPIDFD]) {
            // An older kernel lacks some of these options.
            let _ = option::set(b.as_fd(), option, true);
        }
        let own = std::process::id();
        for _ in 0..10 {
            let handles = [a.as_fd(); HANDLES_PER_MESSAGE_MAX];
            a.send(&[IoSlice::new(b"x")], &handles).unwrap();
            let mut handles = Vec::new();
            let received = b.receive(&mut [0; 8], &mut handles).unwrap();
            assert!(!received.handles_truncated && !received.unknown_control);
            assert_eq!(handles.len(), HANDLES_PER_MESSAGE_MAX);
            assert_eq!(received.sender.unwrap().pid, own);
            let Some(process) = received.sender_process else {
                println!("skipped: this kernel has no SO_PASSPIDFD (Linux 6.5)");
                return;
            };
            assert!(
                rustix::io::fcntl_getfd(&process).unwrap().contains(rustix::io::FdFlags::CLOEXEC)
            );
        }
    }

    #[test]
    fn a_queue_is_empty_only_without_any_message() {
        let file = tempfile::tempfile().unwrap();
        let with_handle: &[BorrowedHandle<'_>] = &[file.as_fd()];
        let messages: [(&[u8], &[BorrowedHandle<'_>]); 4] =
            [(b"", &[]), (b"", with_handle), (b"x", &[]), (b"x", with_handle)];
        for (bytes, handles) in messages {
            let (a, b) = Seqpacket::pair().unwrap();
            a.send(&[IoSlice::new(bytes)], handles).unwrap();
            assert!(!b.end_and_check_empty(), "{bytes:?} {}", handles.len());
            assert!(a.send(&[IoSlice::new(b"late")], handles).is_err());
            b.receive(&mut [0; 8], &mut Vec::new()).unwrap();
            assert!(b.end_and_check_empty());
        }
        let (a, b) = Seqpacket::pair().unwrap();
        drop(a);
        assert!(b.end_and_check_empty());
    }

    #[test]
    fn messages_count_as_unread_until_they_are_received() {
        let (a, b) = Seqpacket::pair().unwrap();
        assert_eq!(a.unread_bytes().unwrap(), 0);
        a.send(&[IoSlice::new(b"")], &[a.as_fd()]).unwrap();
        assert!(a.unread_bytes().unwrap() > 0);
        b.receive(&mut [0; 8], &mut Vec::new()).unwrap();
        assert_eq!(a.unread_bytes().unwrap(), 0);
        a.send(&[IoSlice::new(b"x")], &[]).unwrap();
        drop(b);
        assert_eq!(a.unread_bytes().unwrap(), 0);
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
        // A timeout set for a shorter wait doesn't end a longer wait.
        let (start, longer) = (Instant::now(), Duration::from_millis(120));
        let error = b.receive_within(&mut bytes, &mut handles, longer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(start.elapsed() >= longer);
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
    fn a_wait_ends_in_time_though_another_holder_of_the_end_changes_its_options() {
        let (_a, b) = Seqpacket::pair().unwrap();
        let theirs = b.fd.try_clone().unwrap();
        let b = Seqpacket::from(OwnedFd::from(b));
        let (mut bytes, mut handles) = ([0; 8], Vec::new());
        let patience = Duration::from_millis(20);
        for _ in 0..2 {
            let error = b.receive_within(&mut bytes, &mut handles, patience).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            rustix::net::sockopt::set_socket_timeout(&theirs, Timeout::Recv, None).unwrap();
        }
    }

    #[test]
    fn a_message_larger_than_the_room_says_so() {
        let (a, b) = Seqpacket::pair().unwrap();
        a.send(&[IoSlice::new(&[7; 100])], &[]).unwrap();
        assert!(b.receive(&mut [0; 10], &mut Vec::new()).unwrap().bytes_truncated);
    }
}
