//! Waits for a socket, alone or together with an object.

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};

use super::Seqpacket;
use crate::sys::wait::poll;
use crate::{ManualEvent, Waitable};

/// The result of waiting for an object while watching a connection.
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

/// Waits until a descriptor is readable. Returns `false` if the deadline passes first.
///
/// # Errors
/// Returns the errors of `poll(2)`.
#[doc(hidden)]
pub fn wait_readable(fd: impl AsFd, deadline: Instant) -> io::Result<bool> {
    Ok(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(deadline))? > 0)
}

impl Seqpacket {
    /// Waits until the socket can receive a message or the other end is closed. Returns `false` if
    /// the deadline passes first.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)`.
    #[doc(hidden)]
    pub fn wait_readable(&self, deadline: Instant) -> io::Result<bool> {
        wait_readable(&self.fd, deadline)
    }

    /// Waits until the socket can send or receive a message, or the other end is closed. Returns
    /// `false` if the deadline passes first.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)`.
    #[doc(hidden)]
    pub fn wait_writable(&self, deadline: Instant) -> io::Result<bool> {
        self.wait(PollFlags::OUT | PollFlags::IN, deadline)
    }

    /// Waits until the socket can send a message, or the other end is closed. Returns `false` if
    /// the deadline passes first. Unlike [`Seqpacket::wait_writable`], does not return early when a
    /// message can be received.
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

    /// Waits until an object is ready, and takes it. The wait also ends when the other end is
    /// closed, when `cancel` is set, or when the deadline passes. If the object is ready at the
    /// same time, taking it has priority.
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
        // Without `cancel`, `count` excludes this placeholder from the poll.
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
                    // The object may have become ready between the poll and the end of the
                    // connection.
                    let now = Some(Instant::now());
                    let taken = poll(&mut [object.poll_fd()], now)? > 0 && object.take()?;
                    return Ok(if taken { WaitOutcome::Taken } else { WaitOutcome::PeerGone });
                }
                () if is_ready(2) => return Ok(WaitOutcome::Cancelled),
                // Checks the deadline each time, because other waiters could take the object every
                // time it becomes ready.
                () if ready == 0 || Instant::now() >= deadline => return Ok(WaitOutcome::TimedOut),
                () => {}
            }
        }
    }

    /// Waits until something can be received, the other end is closed, or `cancel` is set. With
    /// `or_room`, waits also until something can be sent. Returns `false` if the deadline passes
    /// first.
    ///
    /// # Errors
    /// Returns the errors of `poll(2)`.
    #[doc(hidden)]
    pub fn wait_to_receive(
        &self,
        or_room: bool,
        cancel: Option<&ManualEvent>,
        deadline: Instant,
    ) -> io::Result<bool> {
        let flags = if or_room { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        // Without `cancel`, `count` excludes this placeholder from the poll.
        let cancel_fd = cancel.map_or(self.fd.as_fd(), AsFd::as_fd);
        let count = 1 + usize::from(cancel.is_some());
        let mut polls =
            [PollFd::new(&self.fd, flags), PollFd::from_borrowed_fd(cancel_fd, PollFlags::IN)];
        Ok(poll(&mut polls[..count], Some(deadline))? > 0)
    }
}
