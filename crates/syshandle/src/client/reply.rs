//! Replies: who waits for which, and those that have come and nobody has fetched yet.

use syshandle_os::descriptor_limit;
use syshandle_wire::{Body, Limits, Status};

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
    /// Dropped, because this client held too much that nobody had taken: the name of the limit.
    PastLimit(String),
    /// In the server's memory: to be given back, by [`Connection::has_read`], once it was read.
    Shared(Body),
}

/// A thread that waits: for which reply, if it is for one; and that, once the thread has received it.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) waiter: Option<WaiterNumber>,
    pub(super) reply: Option<Reply>,
}

/// Replies that other threads than the waiting ones have received, until they are fetched.
///
/// The server decides how large they are, so the client limits how much of them it holds.
#[derive(Debug, Default)]
pub(super) struct Replies {
    replies: Vec<(WaiterNumber, Reply)>,
    bytes: usize,
    handles: usize,
}

impl Replies {
    /// Keeps a reply; beyond the limits only that it came.
    pub(super) fn put(&mut self, number: WaiterNumber, reply: Reply) {
        let (bytes, handles) = reply.size();
        let reply = match self.limit_passed(bytes, handles) {
            None => {
                self.bytes += bytes;
                self.handles += handles;
                reply
            }
            Some(limit) => Reply {
                status: reply.status,
                body: ReplyBody::PastLimit(limit),
                handles: Arrived::new(),
                handles_lost: false,
            },
        };
        self.replies.push((number, reply));
    }

    /// Takes the reply for this one out, if it has come.
    pub(super) fn take(&mut self, number: WaiterNumber) -> Option<Reply> {
        let place = self.replies.iter().position(|(waiter, _)| *waiter == number)?;
        let reply = self.replies.swap_remove(place).1;
        let (bytes, handles) = reply.size();
        self.bytes -= bytes;
        self.handles -= handles;
        Some(reply)
    }

    /// The limit that a reply of this size would pass.
    fn limit_passed(&self, bytes: usize, handles: usize) -> Option<String> {
        if self.bytes + bytes > BYTES_MAX {
            return Some(format!("{BYTES_MAX} bytes"));
        }
        // One full message is always taken.
        if handles == 0 || self.handles + handles <= Limits::HANDLES_MAX.into() {
            return None;
        }
        let max = descriptor_limit().map_or(usize::MAX, |limit| limit as usize / HANDLES_PART);
        (self.handles + handles > max).then(|| format!("{max} handles"))
    }
}

impl Reply {
    /// How many bytes of memory and how many handles it holds.
    fn size(&self) -> (usize, usize) {
        let bytes = match &self.body {
            ReplyBody::Copy(bytes) => bytes.len(),
            // A buffer that its thread keeps anyway, and the server's memory.
            ReplyBody::Frame { .. } | ReplyBody::Shared(_) | ReplyBody::PastLimit(_) => 0,
        };
        (bytes, self.handles.len())
    }
}

/// Bytes of replies of one connection that nobody has taken yet: sixteen of the largest ones.
const BYTES_MAX: usize = 16 * Limits::ARENA_BYTES;

/// Handles of such replies, as a part of the descriptors that this process may have: half of them.
const HANDLES_PART: usize = 2;

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn reply(bytes: usize, handles: usize) -> Reply {
        let mut arrived = Arrived::new();
        arrived.extend((0..handles).map(|_| File::open("/dev/null").unwrap().into()));
        // Zeros that are never touched take no memory.
        let body = ReplyBody::Copy(vec![0; bytes]);
        Reply { status: Status::Done, body, handles: arrived, handles_lost: false }
    }

    fn is_dropped(reply: &Reply) -> bool {
        matches!(reply.body, ReplyBody::PastLimit(_)) && reply.handles.len() == 0
    }

    #[test]
    fn results_that_nobody_takes_hold_no_more_bytes_than_the_limit() {
        let mut replies = Replies::default();
        for number in 0..20 {
            replies.put(number, reply(Limits::ARENA_BYTES, 0));
        }
        assert_eq!(replies.bytes, BYTES_MAX);
        assert!(!is_dropped(&replies.take(15).unwrap()));
        replies.put(20, reply(Limits::ARENA_BYTES, 0));
        assert!(is_dropped(&replies.take(16).unwrap()));
        assert!(!is_dropped(&replies.take(20).unwrap()));
    }

    #[test]
    fn results_that_nobody_takes_hold_no_more_handles_than_the_limit() {
        let mut replies = Replies::default();
        let max = descriptor_limit().unwrap() as usize / HANDLES_PART;
        replies.handles = max.max(Limits::HANDLES_MAX.into()) - 1;
        replies.put(1, reply(8, 1));
        replies.put(2, reply(8, 1));
        assert!(is_dropped(&replies.take(2).unwrap()));
        assert!(!is_dropped(&replies.take(1).unwrap()));
        replies.put(3, reply(8, 1));
        assert!(!is_dropped(&replies.take(3).unwrap()), "there is room again");
    }
}
