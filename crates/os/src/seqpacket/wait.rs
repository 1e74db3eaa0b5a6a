//! Waits for a socket, alone or beside an object.

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};

use super::Seqpacket;
use crate::sys::wait::poll;
use crate::{ManualEvent, Waitable};

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

/// The result of waiting for a socket and an object. After a timeout neither is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadySet {
    /// Whether something can be received, or the other end is closed.
    pub socket: bool,
    /// Whether the object may be taken.
    pub object: bool,
}

impl Seqpacket {
    /// Waits until the socket can receive a message or the other end is closed. Returns `false` if
    /// the deadline passes first.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)`.
    #[doc(hidden)]
    pub fn wait_readable(&self, deadline: Instant) -> io::Result<bool> {
        self.wait(PollFlags::IN, deadline)
    }

    /// Waits until the socket can send or receive a message, whichever is possible first, or until
    /// the other end is closed. Returns `false` if the deadline passes first.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)`.
    #[doc(hidden)]
    pub fn wait_writable(&self, deadline: Instant) -> io::Result<bool> {
        self.wait(PollFlags::OUT | PollFlags::IN, deadline)
    }

    /// Waits until the socket can send a message or the other end is closed. Returns `false` if the
    /// deadline passes first. Unlike [`Seqpacket::wait_writable`], continues to wait if the socket
    /// can receive a message.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)`.
    #[doc(hidden)]
    pub fn wait_for_room(&self, deadline: Instant) -> io::Result<bool> {
        self.wait(PollFlags::OUT, deadline)
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
    #[doc(hidden)]
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
    #[doc(hidden)]
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
    #[doc(hidden)]
    pub fn wait_readable_or(&self, cancel: &ManualEvent, deadline: Instant) -> io::Result<()> {
        let mut polls = [PollFd::new(&self.fd, PollFlags::IN), PollFd::new(cancel, PollFlags::IN)];
        poll(&mut polls, Some(deadline)).map(drop)
    }
}
