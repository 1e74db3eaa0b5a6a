//! Batches replies, so that the replies of calls that arrived together are sent with one system
//! call.
//!
//! Replies are batched only by a thread that is dedicated to a client and has received several of
//! its calls at once. They are sent before a method runs that is not known to be quick. If a method
//! that is known to be quick runs long, the watchdog sends the batch when it takes the client away
//! from the thread.

use std::cell::Cell;
use std::io::IoSlice;
use std::time::{Duration, Instant};

use syshandle_os::MESSAGES_AT_ONCE_MAX;
use syshandle_wire::{Body, Header};

use super::outbox::is_gone;
use crate::link::{Link, append_frame};

/// A batch of replies, in the order in which the methods returned.
#[derive(Debug)]
pub(super) struct ReplyBatch(Option<Box<EncodedReplies>>);

#[derive(Debug)]
struct EncodedReplies {
    /// The encoded replies, one after the other.
    bytes: Vec<u8>,
    /// The end offset of each reply.
    ends: Vec<usize>,
    since: Instant,
}

impl ReplyBatch {
    pub(super) fn new(since: Instant) -> Self {
        let kept = FREE_BATCH.try_with(Cell::take).ok().flatten();
        let mut frames = kept.unwrap_or_else(|| {
            let ends = Vec::with_capacity(BATCH_MAX);
            Box::new(EncodedReplies { bytes: Vec::new(), ends, since })
        });
        frames.since = since;
        Self(Some(frames))
    }

    /// Adds a reply. Returns whether the batch may grow further.
    pub(super) fn add(&mut self, header: &Header, body: &[u8], now: Instant) -> bool {
        let Some(frames) = &mut self.0 else { return false };
        append_frame(header, body, &mut frames.bytes);
        frames.ends.push(frames.bytes.len());
        frames.ends.len() < BATCH_MAX && now - frames.since < BATCH_DELAY_MAX
    }

    /// Sends the batch. Returns the replies for which the socket has no room. If the client has
    /// disconnected, there are none.
    pub(super) fn send(&self, link: &Link) -> impl Iterator<Item = &[u8]> {
        let (mut frames, mut count) = ([IoSlice::new(&[]); BATCH_MAX], 0);
        for (place, frame) in frames.iter_mut().zip(self.frames()) {
            *place = IoSlice::new(frame);
            count += 1;
        }
        let mut sent = 0;
        while sent < count {
            match link.send_frames(&frames[sent..count]) {
                Ok(more) => sent += more,
                Err(error) if is_gone(&error) => sent = count,
                // An error other than a full socket shows up again on the next attempt.
                Err(_) => break,
            }
        }
        self.frames().skip(sent)
    }

    /// Returns each encoded reply.
    fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let (bytes, ends) = match &self.0 {
            Some(frames) => (&frames.bytes[..], &frames.ends[..]),
            None => (&[][..], &[][..]),
        };
        let starts = std::iter::once(&0).chain(ends);
        starts.zip(ends).map(|(start, end)| &bytes[*start..*end])
    }
}

/// Returns whether a reply may be batched.
pub(super) fn may_be_batched(header: &Header, handles: usize) -> bool {
    handles == 0
        && header.entries.is_empty()
        && matches!(header.body, Body::Inline { len } if len as usize <= BATCHED_BYTES_MAX)
}

impl Drop for ReplyBatch {
    fn drop(&mut self) {
        let Some(mut frames) = self.0.take() else { return };
        frames.bytes.clear();
        frames.ends.clear();
        let _ = FREE_BATCH.try_with(|kept| kept.set(Some(frames)));
    }
}

thread_local! {
    static FREE_BATCH: Cell<Option<Box<EncodedReplies>>> = const { Cell::new(None) };
}

/// Limit of replies in a batch: the limit of one system call.
const BATCH_MAX: usize = MESSAGES_AT_ONCE_MAX;

/// Limit of the size of a batched reply. Copying a larger reply costs too much.
const BATCHED_BYTES_MAX: usize = 1024;

/// How long the first reply of a batch may wait, short enough not to be noticed.
const BATCH_DELAY_MAX: Duration = Duration::from_micros(100);
