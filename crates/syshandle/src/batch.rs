//! Several frames that were received with one system call, until each is acted on.
//!
//! To receive alone costs least where one frame comes at a time; where several wait, one system call
//! for all of them saves what each costs beside its own bytes. A thread keeps the buffers for that
//! once it has needed them, so that they are as many as threads that receive, and not as clients.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use syshandle_os::{MESSAGES_AT_ONCE_MAX, Received, Slot};

use crate::arrived::Arrived;
use crate::buffer::FrameBuffer;
use crate::peer_socket::PeerSocket;
use crate::sync::receive_within;

/// Frames in the order in which they came; what is left of them is refused when this is dropped.
#[derive(Debug)]
pub(crate) struct Batch(Option<Box<Frames>>);

#[derive(Debug, Default)]
struct Frames {
    slots: Vec<Slot<FrameBuffer, Arrived>>,
    /// Those from here …
    next: usize,
    /// … to here have come and weren't taken yet.
    end: usize,
}

impl Batch {
    /// As many as can come at once.
    pub(crate) const MAX: usize = MESSAGES_AT_ONCE_MAX;

    /// One without frames.
    pub(crate) fn take() -> Self {
        Self(KEPT.try_with(Cell::take).ok().flatten())
    }

    /// Receives the frames that are there, as many as `count`; waits for the first one no longer
    /// than `patience`, where there is any. To be called when there are none left; returns the bytes
    /// of the last one.
    pub(crate) fn receive(
        &mut self,
        socket: &PeerSocket,
        count: usize,
        patience: Option<Duration>,
    ) -> io::Result<&[u8]> {
        let Frames { slots, next, end } = self.frames();
        (*next, *end) = (0, 0);
        let count = count.clamp(1, Self::MAX);
        while slots.len() < count {
            let (bytes, handles) = (FrameBuffer::take(), Arrived::new());
            slots.push(Slot { bytes, handles, received: Received::default() });
        }
        *end = receive_within(patience, |patience| {
            socket.receive_several(&mut slots[..count], patience)
        })?;
        slots[..*end].iter_mut().for_each(|slot| slot.handles.sent_by(socket.peer_share()));
        let last = &slots[*end - 1];
        Ok(&last.bytes[..last.received.len])
    }

    /// How many are left.
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |frames| frames.end - frames.next)
    }

    /// The handles of each of those that are left.
    pub(crate) fn handles(&mut self) -> impl Iterator<Item = &mut Arrived> {
        let Frames { slots, next, end } = self.frames();
        slots[*next..*end].iter_mut().map(|slot| &mut slot.handles)
    }

    /// Takes the next one: its bytes for a buffer, and its handles.
    pub(crate) fn next(
        &mut self,
        bytes: &mut FrameBuffer,
        handles: &mut Arrived,
    ) -> Option<Received> {
        let Frames { slots, next, end } = self.frames();
        let slot = slots[..*end].get_mut(*next)?;
        *next += 1;
        std::mem::swap(&mut slot.bytes, bytes);
        *handles = std::mem::replace(&mut slot.handles, Arrived::new());
        Some(std::mem::take(&mut slot.received))
    }

    fn frames(&mut self) -> &mut Frames {
        self.0.get_or_insert_default()
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.handles().for_each(|handles| *handles = Arrived::new());
        let frames = self.0.take();
        let _ = KEPT.try_with(|kept| kept.set(frames));
    }
}

thread_local! {
    static KEPT: Cell<Option<Box<Frames>>> = const { Cell::new(None) };
}
