//! Replies that are held until those of the calls behind them are there, and go with one system call.
//!
//! Only where a thread stays with a client and has received several of its calls at once; and never
//! while a method runs that isn't known to be quick. Where one that is known as quick takes long all
//! the same, the sentinel has them go when it takes the client over.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use syshandle_os::{BorrowedHandle, MESSAGES_AT_ONCE_MAX};
use syshandle_wire::{Body, Header, Payload, Status};

use super::connection::{Connection, State};
use super::reactor::Reactor;
use super::replies::{Owed, is_gone, unsendable};
use super::shares::Part;
use crate::arrived::Arrived;
use crate::link::append_frame;
use crate::sync::now;

/// Replies in the order in which they were given.
#[derive(Debug)]
pub(super) struct HeldReplies(Option<Box<Frames>>);

#[derive(Debug)]
struct Frames {
    /// One after the other.
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    since: Instant,
}

impl HeldReplies {
    fn new(since: Instant) -> Self {
        let kept = KEPT.try_with(Cell::take).ok().flatten();
        let mut frames = kept.unwrap_or_else(|| {
            let ends = Vec::with_capacity(HELD_MAX);
            Box::new(Frames { bytes: Vec::new(), ends, since })
        });
        frames.since = since;
        Self(Some(frames))
    }

    /// Each of them.
    fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let (bytes, ends) = match &self.0 {
            Some(frames) => (&frames.bytes[..], &frames.ends[..]),
            None => (&[][..], &[][..]),
        };
        let starts = std::iter::once(&0).chain(ends);
        starts.zip(ends).map(|(start, end)| &bytes[*start..*end])
    }

    /// Adds one; whether there may be more.
    fn add(&mut self, header: &Header, body: &[u8], now: Instant) -> bool {
        let Some(frames) = &mut self.0 else { return false };
        append_frame(header, body, &mut frames.bytes);
        frames.ends.push(frames.bytes.len());
        frames.ends.len() < HELD_MAX && now - frames.since < HELD_FOR
    }
}

impl Drop for HeldReplies {
    fn drop(&mut self) {
        let Some(mut frames) = self.0.take() else { return };
        frames.bytes.clear();
        frames.ends.clear();
        let _ = KEPT.try_with(|kept| kept.set(Some(frames)));
    }
}

impl Connection {
    /// Whether replies are held.
    pub(super) fn holds_replies(&self) -> bool {
        self.holds_replies.load(Ordering::Relaxed)
    }

    /// Holds a reply, if it may be held, or sends those before it; whether it needn't be sent any
    /// more.
    #[inline(never)]
    pub(super) fn hold_reply(
        &self,
        state: &mut State,
        reactor: &Reactor,
        header: &Header,
        (body, handles): (&Payload<'_>, &[BorrowedHandle<'_>]),
    ) -> bool {
        let is_small = handles.is_empty()
            && matches!(header.body, Body::Inline { len } if len as usize <= HELD_BYTES_MAX);
        let may = is_small && state.stays && state.owed.is_empty() && reactor.sentinel.watches();
        if !may {
            self.send_held(state);
            return false;
        }
        let now = now();
        let held = state.held.get_or_insert_with(|| HeldReplies::new(now));
        self.holds_replies.store(true, Ordering::Relaxed);
        if !held.add(header, &body.as_slice(), now) || self.inbox.is_empty() {
            self.send_held(state);
        }
        true
    }

    /// Sends what is held; for what there is no room is owed.
    pub(super) fn send_held(&self, state: &mut State) {
        let Some(held) = state.held.take() else { return };
        self.holds_replies.store(false, Ordering::Relaxed);
        let (mut frames, mut count) = ([IoSlice::new(&[]); HELD_MAX], 0);
        for (place, frame) in frames.iter_mut().zip(held.frames()) {
            *place = IoSlice::new(frame);
            count += 1;
        }
        let mut sent = 0;
        while sent < count {
            match self.link.socket.send_several(&frames[sent..count]) {
                Ok(more) => sent += more,
                Err(error) if is_gone(&error) => return,
                // What else than room was missing is seen when it is tried again.
                Err(_) => break,
            }
        }
        for frame in &frames[sent..count] {
            if let Ok((header, body)) = Header::read(frame) {
                let owed = self.owe(state, header, body);
                state.owed.push_back(owed);
            }
        }
    }

    /// Sends what is held, while nothing else is to be done for this client; whether nothing is owed.
    pub(super) fn sends_held(&self) -> bool {
        let mut state = self.state();
        self.send_held(&mut state);
        state.owed.is_empty()
    }

    /// What becomes of a reply that was to go.
    fn owe(&self, state: &mut State, header: Header, body: &[u8]) -> Owed {
        let status = Status::from_number(header.code).unwrap_or(Status::Fault);
        let (call, handles) = (header.call, Arrived::new());
        match self.session.share.take(Part::Reply(body.len()), 0) {
            Ok(taken) => {
                let (header, body) = (Some(header), body.to_vec().into());
                Owed { call, status, header, body, handles, taken: Some(taken) }
            }
            Err(limit) => {
                let error =
                    io::Error::new(io::ErrorKind::QuotaExceeded, format!("too many {limit}"));
                let body = unsendable(&error);
                let header = state.end.reply_instead(&header, Status::Fault, body.len());
                let (header, status) = (Some(header), Status::Fault);
                Owed { call, status, header, body, handles, taken: None }
            }
        }
    }
}

thread_local! {
    static KEPT: Cell<Option<Box<Frames>>> = const { Cell::new(None) };
}

/// As many as one system call sends.
const HELD_MAX: usize = MESSAGES_AT_ONCE_MAX;

/// One that is larger isn't copied once more.
const HELD_BYTES_MAX: usize = 1024;

/// Who waits for the first of them isn't to notice.
const HELD_FOR: Duration = Duration::from_micros(100);
