//! Replies that are pending, and replies that are received but not fetched yet.

use std::collections::BTreeMap;
use std::time::Instant;

use syshandle_os::descriptor_limit;
use syshandle_types::Limits;
use syshandle_wire::{Body, Fault, Status};

use super::released_numbers::ReceivedEntry;
use crate::buffer::FrameBuffer;
use crate::received_handles::ReceivedHandles;
use crate::{Error, Result};

/// Waiter for a reply; the protocol stores it with each call in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) number: WaiterNumber,
    /// Deadline of a call whose reply may be fetched late. Such a reply must not hold the server's
    /// memory until then. `None` if a thread waits for the reply.
    pub(super) fetched_by: Option<Instant>,
}

/// Number of a waiter. Unlike call ids, which are reused, it is unique within a connection.
pub(super) type WaiterNumber = u64;

/// Reply, not decoded yet.
#[derive(Debug)]
pub(crate) struct EncodedReply {
    pub(crate) status: Status,
    pub(crate) body: ReplyBody,
    pub(crate) handles: ReceivedHandles,
    /// The entries of a reply that has a table, by index; `None` for a handle.
    pub(crate) numbers: Vec<Option<ReceivedEntry>>,
    pub(crate) handles_lost: bool,
}

/// Location of the bytes of a reply.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    /// In the received frame.
    Frame {
        frame: FrameBuffer,
        start: usize,
        end: usize,
    },
    Copy(Vec<u8>),
    /// Dropped, because unfetched replies of this client exceeded a limit. Contains the text of the
    /// limit.
    PastLimit(String),
    /// In the server's memory. [`has_read`](super::connection::ClientConnection::has_read) has to release
    /// it after it was read.
    Shared(Body),
}

/// Thread that waits: the waiter of its reply, if it waits for one, and the result once this thread
/// has it.
#[derive(Debug, Default)]
pub(super) struct ReplyWait {
    pub(super) waiter: Option<WaiterNumber>,
    pub(super) result: Option<Result<EncodedReply>>,
}

/// Results that were not fetched yet: replies that another thread than the waiter's has received,
/// and errors of calls that could not be sent.
///
/// The server chooses the size of replies, so the client limits the total size that it stores.
#[derive(Debug, Default)]
pub(super) struct Replies {
    results: BTreeMap<WaiterNumber, Result<EncodedReply>>,
    bytes: usize,
    handles: usize,
}

impl Replies {
    /// Stores a reply. Beyond the limits it stores only the fact that the reply came.
    pub(super) fn put(&mut self, number: WaiterNumber, reply: EncodedReply) {
        let (bytes, handles) = reply.size();
        let reply = match self.limit_passed(bytes, handles) {
            None => {
                self.bytes += bytes;
                self.handles += handles;
                reply
            }
            Some(limit) => EncodedReply {
                status: reply.status,
                body: ReplyBody::PastLimit(limit),
                handles: ReceivedHandles::new(),
                numbers: Vec::new(),
                handles_lost: false,
            },
        };
        self.results.insert(number, Ok(reply));
    }

    /// Stores the error of a call that could not be sent.
    pub(super) fn fail(&mut self, number: WaiterNumber, error: Error) {
        self.results.insert(number, Err(error));
    }

    /// Returns whether there are no results.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// Returns whether there is a result for this waiter.
    pub(super) fn has(&self, number: WaiterNumber) -> bool {
        self.results.contains_key(&number)
    }

    /// Takes the result of this waiter.
    pub(super) fn take(&mut self, number: WaiterNumber) -> Option<Result<EncodedReply>> {
        let result = self.results.remove(&number)?;
        if let Ok(reply) = &result {
            let (bytes, handles) = reply.size();
            self.bytes -= bytes;
            self.handles -= handles;
        }
        Some(result)
    }

    /// Returns the limit that a reply of this size would exceed.
    fn limit_passed(&self, bytes: usize, handles: usize) -> Option<String> {
        if self.bytes + bytes > UNFETCHED_BYTES_MAX {
            return Some(format!("{UNFETCHED_BYTES_MAX} bytes"));
        }
        // One full message is always accepted.
        if handles == 0 || self.handles + handles <= Limits::HANDLES_MAX.into() {
            return None;
        }
        let max = descriptor_limit().map_or(usize::MAX, |limit| limit as usize / HANDLES_PART);
        (self.handles + handles > max).then(|| format!("{max} handles"))
    }
}

impl EncodedReply {
    /// Returns the result of a one-way call that was sent: `()`.
    pub(super) fn nothing() -> Self {
        Self {
            status: Status::Done,
            body: ReplyBody::Copy(vec![0]),
            handles: ReceivedHandles::new(),
            numbers: Vec::new(),
            handles_lost: false,
        }
    }

    /// Returns whether the server no longer had a registered handle of the call, which did not run.
    pub(super) fn is_slot_gone(&self) -> bool {
        let body = match &self.body {
            ReplyBody::Frame { frame, start, end } => &frame[*start..*end],
            ReplyBody::Copy(body) => body,
            ReplyBody::PastLimit(_) | ReplyBody::Shared(_) => return false,
        };
        self.status == Status::Fault && Fault::read(body) == Ok(Fault::SlotGone)
    }

    /// Returns the bytes of memory and the number of handles that the reply holds.
    fn size(&self) -> (usize, usize) {
        let bytes = match &self.body {
            ReplyBody::Copy(bytes) => bytes.len(),
            // A frame buffer stays with its thread anyway. Shared bytes are the server's memory.
            ReplyBody::Frame { .. } | ReplyBody::Shared(_) | ReplyBody::PastLimit(_) => 0,
        };
        let numbers = self.numbers.len() * size_of::<Option<ReceivedEntry>>();
        (bytes + numbers, self.handles.len())
    }
}

/// Limit of the bytes of unfetched replies of one connection, and of its queued calls: sixteen of the
/// largest messages.
pub(super) const UNFETCHED_BYTES_MAX: usize = 16 * Limits::ARENA_BYTES;

/// Divisor of `RLIMIT_NOFILE`: unfetched replies may hold half of the descriptors of this process.
const HANDLES_PART: usize = 2;

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn reply(bytes: usize, handles: usize) -> EncodedReply {
        let mut arrived = ReceivedHandles::new();
        arrived.extend((0..handles).map(|_| File::open("/dev/null").unwrap().into()));
        // The kernel allocates no memory for zero pages that are never touched.
        let body = ReplyBody::Copy(vec![0; bytes]);
        let (handles, numbers) = (arrived, Vec::new());
        let status = Status::Done;
        EncodedReply { status, body, handles, numbers, handles_lost: false }
    }

    fn taken(replies: &mut Replies, number: WaiterNumber) -> EncodedReply {
        replies.take(number).unwrap().unwrap()
    }

    fn is_dropped(reply: &EncodedReply) -> bool {
        matches!(reply.body, ReplyBody::PastLimit(_)) && reply.handles.len() == 0
    }

    #[test]
    fn unclaimed_results_hold_no_more_bytes_than_the_limit() {
        let mut replies = Replies::default();
        for number in 0..20 {
            replies.put(number, reply(Limits::ARENA_BYTES, 0));
        }
        assert_eq!(replies.bytes, UNFETCHED_BYTES_MAX);
        assert!(!is_dropped(&taken(&mut replies, 15)));
        replies.put(20, reply(Limits::ARENA_BYTES, 0));
        assert!(is_dropped(&taken(&mut replies, 16)));
        assert!(!is_dropped(&taken(&mut replies, 20)));
    }

    #[test]
    fn the_numbers_in_unclaimed_results_count_as_bytes() {
        let none = || {
            let numbers = (0..Limits::ENTRIES_MAX).map(|_| None).collect();
            EncodedReply { numbers, ..reply(0, 0) }
        };
        let mut replies = Replies::default();
        let bytes = none().size().0;
        assert!(bytes >= Limits::ENTRIES_MAX * size_of::<u32>());
        replies.bytes = UNFETCHED_BYTES_MAX - bytes;
        replies.put(1, none());
        replies.put(2, none());
        assert!(is_dropped(&taken(&mut replies, 2)));
        assert_eq!(taken(&mut replies, 1).numbers.len(), Limits::ENTRIES_MAX);
        assert_eq!(replies.bytes, UNFETCHED_BYTES_MAX - bytes, "the room is free again");
    }

    #[test]
    fn unclaimed_results_hold_no_more_handles_than_the_limit() {
        let mut replies = Replies::default();
        let max = descriptor_limit().unwrap() as usize / HANDLES_PART;
        replies.handles = max.max(Limits::HANDLES_MAX.into()) - 1;
        replies.put(1, reply(8, 1));
        replies.put(2, reply(8, 1));
        assert!(is_dropped(&taken(&mut replies, 2)));
        assert!(!is_dropped(&taken(&mut replies, 1)));
        replies.put(3, reply(8, 1));
        assert!(!is_dropped(&taken(&mut replies, 3)), "there is room again");
    }
}
