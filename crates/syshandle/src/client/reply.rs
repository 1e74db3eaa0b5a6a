//! Replies: who waits for which, and those that have come and nobody has fetched yet.

use syshandle_wire::{Body, Status};

use crate::arrived::Arrived;
use crate::buffer::FrameBuffer;

/// Who waits for a reply: what the protocol keeps of a call that was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) number: WaiterNumber,
    /// It may be long until it fetches the reply: which then takes nothing that others need.
    pub(super) later: bool,
}

/// Never the same for two calls of a connection, as the ids of calls may be, one after the other.
pub(super) type WaiterNumber = u64;

/// A reply, still in bytes.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: Status,
    pub(crate) body: ReplyBody,
    pub(crate) handles: Arrived,
    pub(crate) handles_lost: bool,
}

/// Where the bytes of a reply are.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    /// In the frame that they came with.
    Frame {
        frame: FrameBuffer,
        start: usize,
        end: usize,
    },
    Copy(Vec<u8>),
    /// In the server's memory: to be given back, by [`Connection::has_read`], once it was read.
    Shared(Body),
}

/// A thread that waits: for which reply, if it is for one; and that, once the thread has received it.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) waiter: Option<WaiterNumber>,
    pub(super) reply: Option<Reply>,
}

/// Replies that others than those who wait for them have received, until they are fetched.
#[derive(Debug, Default)]
pub(super) struct Replies(Vec<(WaiterNumber, Reply)>);

impl Replies {
    pub(super) fn put(&mut self, number: WaiterNumber, reply: Reply) {
        self.0.push((number, reply));
    }

    /// Takes the reply for this one out, if it has come.
    pub(super) fn take(&mut self, number: WaiterNumber) -> Option<Reply> {
        let place = self.0.iter().position(|(waiter, _)| *waiter == number)?;
        Some(self.0.swap_remove(place).1)
    }
}
