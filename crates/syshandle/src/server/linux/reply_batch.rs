//! Batches replies, so that the replies of calls that arrived together are sent with one system
//! call.
//!
//! Replies are batched only by a thread that is dedicated to a client and has received several of
//! its calls at once. They are sent before a method runs that is not known to be quick. If a method
//! that is known to be quick runs long, the watchdog sends the batch when it takes the client away
//! from the thread.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use syshandle_os::{BorrowedHandle, MESSAGES_AT_ONCE_MAX};
use syshandle_types::Payload;
use syshandle_wire::{Body, Header, Status};

use super::connection::{ServerConnection, ServerConnectionState};
use super::reactor::Reactor;
use super::replies::{PendingReply, is_gone, unsendable};
use crate::link::append_frame;
use crate::quota::Resource;
use crate::received_handles::ReceivedHandles;
use crate::sync::now;

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
    fn new(since: Instant) -> Self {
        let kept = FREE_BATCH.try_with(Cell::take).ok().flatten();
        let mut frames = kept.unwrap_or_else(|| {
            let ends = Vec::with_capacity(BATCH_MAX);
            Box::new(EncodedReplies { bytes: Vec::new(), ends, since })
        });
        frames.since = since;
        Self(Some(frames))
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

    /// Adds a reply. Returns whether the batch may grow further.
    fn add(&mut self, header: &Header, body: &[u8], now: Instant) -> bool {
        let Some(frames) = &mut self.0 else { return false };
        append_frame(header, body, &mut frames.bytes);
        frames.ends.push(frames.bytes.len());
        frames.ends.len() < BATCH_MAX && now - frames.since < BATCH_DELAY_MAX
    }
}

impl Drop for ReplyBatch {
    fn drop(&mut self) {
        let Some(mut frames) = self.0.take() else { return };
        frames.bytes.clear();
        frames.ends.clear();
        let _ = FREE_BATCH.try_with(|kept| kept.set(Some(frames)));
    }
}

impl ServerConnection {
    /// Returns whether replies are batched.
    pub(super) fn batches_replies(&self) -> bool {
        self.batches_replies.load(Ordering::Relaxed)
    }

    /// Adds a reply to the batch if it is allowed there, and otherwise sends the batch. Returns
    /// whether the caller needn't send the reply.
    #[inline(never)]
    pub(super) fn batch_reply(
        &self,
        state: &mut ServerConnectionState,
        reactor: &Reactor,
        header: &Header,
        (body, handles): (&Payload<'_>, &[BorrowedHandle<'_>]),
    ) -> bool {
        let is_small = handles.is_empty()
            && matches!(header.body, Body::Inline { len } if len as usize <= BATCHED_BYTES_MAX);
        let may =
            is_small && state.dedicated && state.pending.is_empty() && reactor.watchdog.watches();
        if !may {
            self.send_batch(state);
            return false;
        }
        let now = now();
        let reply_batch = state.reply_batch.get_or_insert_with(|| ReplyBatch::new(now));
        self.batches_replies.store(true, Ordering::Relaxed);
        if !reply_batch.add(header, &body.as_slice(), now) || self.inbox.is_empty() {
            self.send_batch(state);
        }
        true
    }

    /// Sends the batch. Replies for which the socket has no room become pending replies.
    pub(super) fn send_batch(&self, state: &mut ServerConnectionState) {
        let Some(reply_batch) = state.reply_batch.take() else { return };
        self.batches_replies.store(false, Ordering::Relaxed);
        let (mut frames, mut count) = ([IoSlice::new(&[]); BATCH_MAX], 0);
        for (place, frame) in frames.iter_mut().zip(reply_batch.frames()) {
            *place = IoSlice::new(frame);
            count += 1;
        }
        let mut sent = 0;
        while sent < count {
            match self.link.socket.send_several(&frames[sent..count]) {
                Ok(more) => sent += more,
                Err(error) if is_gone(&error) => return,
                // An error other than a full socket shows up again on the next attempt.
                Err(_) => break,
            }
        }
        for frame in &frames[sent..count] {
            if let Ok((header, body)) = Header::read(frame) {
                let pending = self.make_pending(state, header, body);
                state.pending.push_back(pending);
            }
        }
    }

    /// Sends the batch while there is no other work for this client. Returns whether no reply is
    /// pending.
    pub(super) fn send_batch_when_idle(&self) -> bool {
        let mut state = self.state();
        self.send_batch(&mut state);
        state.pending.is_empty()
    }

    /// Makes a pending reply of a batched one, or of a fault if the quota is exhausted.
    fn make_pending(
        &self,
        state: &mut ServerConnectionState,
        header: Header,
        body: &[u8],
    ) -> PendingReply {
        let status = Status::from_number(header.code).unwrap_or(Status::Fault);
        let (call, handles) = (header.call, ReceivedHandles::new());
        match self.session.quota.take(Resource::Reply(body.len()), 0) {
            Ok(quota_guard) => {
                let (header, body) = (Some(header), body.to_vec().into());
                PendingReply { call, status, header, body, handles, quota_guard: Some(quota_guard) }
            }
            Err(limit) => {
                let error =
                    io::Error::new(io::ErrorKind::QuotaExceeded, format!("too many {limit}"));
                let body = unsendable(&error);
                let header = state.end.reply_instead(&header, Status::Fault, body.len());
                let (header, status) = (Some(header), Status::Fault);
                PendingReply { call, status, header, body, handles, quota_guard: None }
            }
        }
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
