//! Frames from the server: how a thread waits for them.

use std::io;
use std::time::{Duration, Instant};

use syshandle_os::{ReceivedMessage, SpawnedProcess};
use syshandle_wire::Violation;

use super::deadline::{Deadline, KERNEL_WAIT, KERNEL_WAIT_MIN};
use super::end_reason::EndReason;
use super::server_process::ServerProcess;
use crate::batch::Batch;
use crate::buffer::FrameBuffer;
use crate::client::cancel::Cancel;
use crate::link::Link;
use crate::received_handles::ReceivedHandles;
use crate::spin::Spin;
use crate::sync::{now, wait_until};

/// Receives the frames of a connection, and notices the death of its server.
#[derive(Debug)]
pub(super) struct Receiver {
    spin: Spin,
    process: ServerProcess,
}

/// Result of a receive.
pub(super) enum ReceiveResult {
    Frame(ReceivedFrame),
    Nothing(EndReason),
    NotYet,
}

/// Frame, with all of its handles or (if truncated) some of them.
pub(super) struct ReceivedFrame {
    pub(super) buffer: FrameBuffer,
    pub(super) len: usize,
    pub(super) handles: ReceivedHandles,
    pub(super) truncated: bool,
}

impl ReceiveResult {
    #[inline(always)]
    pub(super) fn of(
        buffer: FrameBuffer,
        received: &ReceivedMessage,
        handles: ReceivedHandles,
    ) -> Self {
        let (len, truncated) = (received.len, received.handles_truncated);
        match () {
            () if len == 0 => Self::Nothing(EndReason::Died),
            () if received.bytes_truncated => Self::Nothing(EndReason::Broken(Violation::TooLong)),
            () if received.unknown_control => {
                Self::Nothing(EndReason::Broken(Violation::UnknownControl))
            }
            () if handles.check_sender().is_err() => {
                Self::Nothing(EndReason::Broken(Violation::TooManyHandles))
            }
            () => Self::Frame(ReceivedFrame { buffer, len, handles, truncated }),
        }
    }
}

impl Receiver {
    pub(super) fn new(process: ServerProcess) -> Self {
        Self { spin: Spin::default(), process }
    }

    /// Watches the server process that this client has started.
    pub(super) fn watch(&self, spawned: &SpawnedProcess) {
        self.process.set(spawned);
    }

    /// Returns the end of a wait that begins now: the deadline, or earlier the time of the next
    /// check whether the server process lives.
    pub(super) fn wait_end(&self, deadline: Instant) -> Instant {
        self.process.wait_end(deadline)
    }

    /// Returns whether the server process is known to have ended.
    pub(super) fn server_has_ended(&self, link: &Link) -> bool {
        self.process.has_ended(&link.socket)
    }

    /// Receives one frame, waiting until the deadline or a cancel. With `or_room`, returns
    /// [`ReceiveResult::NotYet`] when the socket has room.
    pub(super) fn receive(
        &self,
        link: &Link,
        deadline: &mut Deadline<'_>,
        or_room: bool,
    ) -> ReceiveResult {
        let (mut buffer, mut handles) = (FrameBuffer::take(), ReceivedHandles::new());
        let received = self.receive_by(link, deadline, or_room, |timeout| {
            link.receive(&mut buffer, &mut handles, timeout)
        });
        match received {
            Ok(received) => ReceiveResult::of(buffer, &received, handles),
            Err(nothing) => nothing,
        }
    }

    /// Receives up to `count` frames into `batch`, waiting for the first like [`Self::receive`].
    pub(super) fn receive_several(
        &self,
        link: &Link,
        deadline: &mut Deadline<'_>,
        or_room: bool,
        count: usize,
        batch: &mut Batch,
    ) -> Result<(), ReceiveResult> {
        self.receive_by(link, deadline, or_room, |timeout| {
            link.receive_several(batch, count, timeout)
        })
    }

    /// Receives up to `count` frames into `batch`, without waiting.
    pub(super) fn receive_now(
        link: &Link,
        count: usize,
        batch: &mut Batch,
    ) -> Result<(), ReceiveResult> {
        loop {
            let error = match link.receive_several(batch, count, None) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            return Err(match error.kind() {
                io::ErrorKind::WouldBlock => ReceiveResult::NotYet,
                // Frames of the server can still be received after this error.
                io::ErrorKind::Interrupted | io::ErrorKind::ConnectionReset => continue,
                _ => ReceiveResult::Nothing(EndReason::of(&error)),
            });
        }
    }

    /// Calls `receive` until it succeeds. Its argument is the longest wait in the system call;
    /// `None` means not to wait.
    #[inline(always)]
    fn receive_by<T>(
        &self,
        link: &Link,
        deadline: &mut Deadline<'_>,
        or_room: bool,
        mut receive: impl FnMut(Option<Duration>) -> io::Result<T>,
    ) -> Result<T, ReceiveResult> {
        let may_sleep = !or_room && deadline.cancel.is_none();
        let waits_for_ring = link.wait_for_ring(&self.spin, deadline.instant, may_sleep);
        let mut spin_wait = self.spin.start(link.peer());
        let mut spins = !waits_for_ring && !deadline.left().is_zero() && spin_wait.again();
        let (mut has_ended, mut has_room) = (false, false);
        loop {
            // Waits in the receiving system call, unless that could miss a cancel, the deadline or
            // room in the socket.
            let left = deadline.left();
            let is_exact = has_ended || or_room || deadline.cancel.is_some();
            let waits = !spins && !is_exact && left > KERNEL_WAIT_MIN;
            let kernel_waits = waits.then_some(KERNEL_WAIT);
            match receive(kernel_waits) {
                Ok(received) => {
                    if spins {
                        spin_wait.hit();
                    }
                    return Ok(received);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && spins => {
                    spins = spin_wait.again();
                }
                // The last messages of the ended process were received.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && has_ended => {
                    return Err(ReceiveResult::Nothing(EndReason::Died));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && has_room => {
                    return Err(ReceiveResult::NotYet);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let (socket, cancel) = (&link.socket, deadline.cancel.map(Cancel::event));
                    let until = self.process.wait_end(deadline.instant);
                    let waited =
                        wait_until(until, |until| socket.wait_to_receive(or_room, cancel, until));
                    match waited {
                        Ok(is_ready) => has_room = or_room && is_ready,
                        Err(error) => {
                            return Err(ReceiveResult::Nothing(EndReason::Failed(error.kind())));
                        }
                    }
                    deadline.look();
                    if deadline.check().is_err() {
                        return Err(ReceiveResult::NotYet);
                    }
                    has_ended = now() >= until && self.process.has_ended(socket);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => deadline.look(),
                // The server closed its end without reading all frames of this client. Its own
                // frames can still be received.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(error) => return Err(ReceiveResult::Nothing(EndReason::of(&error))),
            }
        }
    }
}
