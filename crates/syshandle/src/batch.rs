//! Holds frames that were received with one system call, until each frame is processed.
//!
//! If frames arrive one at a time, `recvmsg` is the cheapest. If several frames wait, one
//! `recvmmsg` costs less than several calls. A thread allocates the buffers of a batch when it
//! first needs them, and reuses them. The number of buffers is therefore bounded by the number of
//! receiving threads and not by the number of clients.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use syshandle_os::{MESSAGES_AT_ONCE_MAX, ReceivedMessage, Slot};

use crate::buffer::FrameBuffer;
use crate::peer_socket::PeerSocket;
use crate::received_handles::ReceivedHandles;
use crate::sync::receive_within;

/// Frames in the order of arrival. Dropping a batch closes the remaining frames' handles in the
/// background.
#[derive(Debug)]
pub(crate) struct Batch(Option<Box<BatchSlots>>);

#[derive(Debug, Default)]
struct BatchSlots {
    slots: Vec<Slot<FrameBuffer, ReceivedHandles>>,
    /// Index of the first frame that wasn't taken yet.
    next: usize,
    /// Index after the last received frame.
    end: usize,
}

impl Batch {
    /// Maximum number of frames in a batch.
    pub(crate) const MAX: usize = MESSAGES_AT_ONCE_MAX;

    /// Returns an empty batch, with the buffers that this thread has kept.
    pub(crate) fn take() -> Self {
        Self(FREE_SLOTS.try_with(Cell::take).ok().flatten())
    }

    /// Receives up to `count` waiting frames. Waits up to `timeout` for the first one, if a time is
    /// given. Must only be called when the batch is empty. Returns the bytes of the last frame.
    pub(crate) fn receive(
        &mut self,
        socket: &PeerSocket,
        count: usize,
        timeout: Option<Duration>,
    ) -> io::Result<&[u8]> {
        let BatchSlots { slots, next, end } = self.frames();
        (*next, *end) = (0, 0);
        let count = count.clamp(1, Self::MAX);
        while slots.len() < count {
            slots.push(empty_slot());
        }
        *end = receive_within(timeout, |timeout| {
            socket.receive_several(&mut slots[..count], timeout)
        })?;
        slots[..*end].iter_mut().for_each(|slot| slot.handles.sent_by(socket.peer_quota()));
        let last = &slots[*end - 1];
        Ok(&last.bytes[..last.received.len])
    }

    /// Fills the batch with up to `count` frames that `receive` returns one at a time. Its last
    /// argument says whether the frame is the first one. Returns the bytes of the last frame.
    ///
    /// # Errors
    /// The error of the first frame. A later error ends the batch, and occurs again.
    pub(crate) fn fill(
        &mut self,
        count: usize,
        mut receive: impl FnMut(
            &mut FrameBuffer,
            &mut ReceivedHandles,
            bool,
        ) -> io::Result<ReceivedMessage>,
    ) -> io::Result<&[u8]> {
        let BatchSlots { slots, next, end } = self.frames();
        (*next, *end) = (0, 0);
        while *end < count.clamp(1, Self::MAX) {
            if slots.len() == *end {
                slots.push(empty_slot());
            }
            let Slot { bytes, handles, received } = &mut slots[*end];
            match receive(bytes, handles, *end == 0) {
                Ok(frame) => *received = frame,
                // A frame about rings was received, and others may follow.
                Err(error) if *end > 0 && error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if *end == 0 => return Err(error),
                Err(_) => break,
            }
            *end += 1;
            if is_end_of_file(&slots[*end - 1]) {
                break;
            }
        }
        let last = &slots[*end - 1];
        Ok(&last.bytes[..last.received.len])
    }

    /// Returns the number of remaining frames.
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |frames| frames.end - frames.next)
    }

    /// Returns the handles of each remaining frame.
    pub(crate) fn handles(&mut self) -> impl Iterator<Item = &mut ReceivedHandles> {
        let BatchSlots { slots, next, end } = self.frames();
        slots[*next..*end].iter_mut().map(|slot| &mut slot.handles)
    }

    /// Takes the next frame: swaps its bytes into a buffer, and returns its handles.
    pub(crate) fn next(
        &mut self,
        bytes: &mut FrameBuffer,
        handles: &mut ReceivedHandles,
    ) -> Option<ReceivedMessage> {
        let BatchSlots { slots, next, end } = self.frames();
        let slot = slots[..*end].get_mut(*next)?;
        *next += 1;
        std::mem::swap(&mut slot.bytes, bytes);
        *handles = std::mem::replace(&mut slot.handles, ReceivedHandles::new());
        Some(std::mem::take(&mut slot.received))
    }

    fn frames(&mut self) -> &mut BatchSlots {
        self.0.get_or_insert_default()
    }
}

fn empty_slot() -> Slot<FrameBuffer, ReceivedHandles> {
    let (bytes, handles) = (FrameBuffer::take(), ReceivedHandles::new());
    Slot { bytes, handles, received: ReceivedMessage::default() }
}

/// Returns whether a message is the end of file.
fn is_end_of_file(slot: &Slot<FrameBuffer, ReceivedHandles>) -> bool {
    slot.received.len == 0
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.handles().for_each(ReceivedHandles::close_later);
        let frames = self.0.take();
        let _ = FREE_SLOTS.try_with(|kept| kept.set(frames));
    }
}

thread_local! {
    static FREE_SLOTS: Cell<Option<Box<BatchSlots>>> = const { Cell::new(None) };
}
