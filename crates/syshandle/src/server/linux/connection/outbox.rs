//! Replies that wait: for room in the socket or in the shared memory, or for replies of other calls
//! that arrived together.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use syshandle_os::Interest;
use syshandle_types::{BodySize, Payload};
use syshandle_wire::{Body, Entries, Fault, FrameKind, Header, MessageEntries, Status};

use super::calls::Calls;
use super::objects::Objects;
use super::reply_batch::ReplyBatch;
use crate::link::Link;
use crate::quota::{Quota, QuotaGuard, Resource};
use crate::received_handles::ReceivedHandles;
use crate::slots::PassedSlots;
use crate::sync::now;
use crate::untyped_stream::OpeningStreams;

/// The replies of a connection that wait.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Replies for which there was no room, in the order in which they are sent.
    pending: VecDeque<PendingReply>,
    /// Whether the client was asked to release shared memory as soon as it has read it.
    asked: bool,
    /// Replies to be sent together.
    batch: Option<ReplyBatch>,
    /// Whether a timer is set to free unused shared memory.
    frees_memory: bool,
}

/// A reply, or an acknowledgement of one-way calls, for which there was no room.
#[derive(Debug)]
pub(super) struct PendingReply {
    call: u32,
    status: Status,
    /// `None` if the shared memory had no room for the body. Otherwise the socket had no room.
    header: Option<Header>,
    body: Payload<'static>,
    handles: ReceivedHandles,
    /// The table of a reply without a header.
    table: Entries,
    /// Keeps the slots in the table valid.
    _slots: PassedSlots,
    /// The streams that the reply opens.
    opening: Option<OpeningStreams>,
    /// The part of the client's quota that the reply takes.
    _quota_guard: Option<QuotaGuard>,
}

/// The result of sending the pending replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendOutcome {
    /// All replies for which there is room were sent.
    Sent {
        /// Whether a reply went through shared memory.
        used_memory: bool,
    },
    /// Not even a fault can be sent, so the connection must end.
    Failed,
}

impl PendingReply {
    /// Creates a pending reply. `header` is `None` if the shared memory had no room for the body.
    pub(super) fn new(
        (call, status): (u32, Status),
        header: Option<Header>,
        body: Payload<'static>,
        handles: ReceivedHandles,
        _quota_guard: Option<QuotaGuard>,
    ) -> Self {
        let (table, _slots, opening) = (Entries::default(), PassedSlots::default(), None);
        Self { call, status, header, body, handles, table, _slots, opening, _quota_guard }
    }

    /// Creates a pending acknowledgement of one-way calls.
    pub(super) fn acknowledgement(header: Header, body: Payload<'static>) -> Self {
        let (reply, handles) = ((header.call, Status::Fault), ReceivedHandles::new());
        Self::new(reply, Some(header), body, handles, None)
    }

    /// Sets the table of the objects, slots and streams in the reply.
    pub(super) fn with_table(
        self,
        table: Entries,
        slots: PassedSlots,
        opening: Option<OpeningStreams>,
    ) -> Self {
        Self { table, _slots: slots, opening, ..self }
    }

    /// Creates a fault that replaces a reply that couldn't be sent. Without the header of that
    /// reply, the fault waits for a header too.
    pub(super) fn fault(call: u32, header: Option<Header>, error: &io::Error) -> Self {
        let handles = ReceivedHandles::new();
        Self::new((call, Status::Fault), header, unsendable(error), handles, None)
    }
}

impl Outbox {
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Returns whether an acknowledgement waits. No later reply overtakes it, because it may report
    /// the failure of an earlier call.
    pub(super) fn has_acknowledgement(&self) -> bool {
        let kind = |pending: &PendingReply| pending.header.as_ref().map(|header| header.kind);
        self.pending.iter().any(|pending| kind(pending) == Some(FrameKind::Acknowledge))
    }

    /// Returns the number of pending replies whose calls count as answered, and of pending
    /// acknowledgements.
    pub(super) fn unread(&self) -> usize {
        self.pending.iter().filter(|pending| pending.header.is_some()).count()
    }

    /// Returns the number of pending replies whose calls count as running, because the shared memory
    /// had no room for the bodies.
    pub(super) fn unanswered(&self) -> usize {
        self.pending.len() - self.unread()
    }

    /// Returns what to poll the socket for. A reply that needs shared memory waits for a frame of
    /// the client. Any other pending reply waits for room in the socket.
    pub(super) fn interest(&self) -> Interest {
        let waits_for_room = |pending: &PendingReply| pending.header.is_some() || !self.asked;
        match self.pending.front().is_some_and(waits_for_room) {
            true => Interest::WhileBoth,
            false => Interest::WhileReadable,
        }
    }

    /// Adds a reply for which there was no room.
    pub(super) fn push(&mut self, reply: PendingReply) {
        self.pending.push_back(reply);
    }

    /// Removes all replies, because the connection has ended. Their handles may be many, and are
    /// closed in the background.
    pub(super) fn take_pending(&mut self) -> VecDeque<PendingReply> {
        self.pending.iter_mut().for_each(|pending| pending.handles.close_later());
        std::mem::take(&mut self.pending)
    }

    /// Sends pending replies while there is room.
    pub(super) fn send_pending(
        &mut self,
        (calls, objects): (&mut Calls, &mut Objects),
        link: &Link,
        awaits_bye: bool,
    ) -> SendOutcome {
        let (mut later, mut used_memory) = (VecDeque::new(), false);
        while let Some(mut pending) = self.pending.pop_front() {
            let header = pending.header.take().or_else(|| {
                let (handles, body) = (pending.handles.len() as u16, pending.body.size());
                let (reply, table) = ((pending.call, pending.status), pending.table.clone());
                let entries = MessageEntries { handles, table };
                reply_header(calls, reply, entries, body, awaits_bye)
            });
            let Some(header) = header else {
                if !self.asked {
                    let ask = link.send_header(&Header::new(FrameKind::Release));
                    self.asked = ask.is_ok();
                }
                // Smaller replies don't wait for this one.
                later.push_back(pending);
                continue;
            };
            let handles: Vec<_> = pending.handles.lend().collect();
            let sent = link.send(&header, &pending.body, &handles);
            drop(handles);
            match sent {
                Ok(()) => {
                    used_memory |= matches!(header.body, Body::Shared { .. });
                    if let Some(opening) = pending.opening.take() {
                        opening.sent();
                    }
                }
                Err(error) if is_gone(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    pending.header = Some(header);
                    self.pending.push_front(pending);
                    break;
                }
                Err(error) if header.handles == 0 && matches!(header.body, Body::Inline { .. }) => {
                    crate::log::warn!(%error, "no reply can be sent");
                    return SendOutcome::Failed;
                }
                Err(error) => {
                    crate::log::warn!(%error, "a reply can't be sent");
                    objects.take_back(&header.entries);
                    // A fault needs no shared memory and no descriptors.
                    let body_len = unsendable(&error).len();
                    let header = calls.reply_instead(&header, body_len);
                    self.pending.push_front(PendingReply::fault(
                        pending.call,
                        Some(header),
                        &error,
                    ));
                }
            }
        }
        // Replies that wait for room in the socket come first, because the first pending reply
        // determines the interest in the socket.
        self.pending.append(&mut later);
        SendOutcome::Sent { used_memory }
    }

    /// Returns whether replies wait to be sent together.
    pub(super) fn has_batch(&self) -> bool {
        self.batch.is_some()
    }

    /// Adds a reply to the batch. Returns whether the batch may grow further.
    pub(super) fn add_to_batch(&mut self, header: &Header, body: &[u8]) -> bool {
        let now = now();
        self.batch.get_or_insert_with(|| ReplyBatch::new(now)).add(header, body, now)
    }

    /// Sends the batch. Replies for which the socket has no room become pending replies.
    pub(super) fn send_batch(&mut self, calls: &mut Calls, link: &Link, quota: &Arc<Quota>) {
        let Some(batch) = self.batch.take() else { return };
        for frame in batch.send(link) {
            if let Ok((header, body)) = Header::read(frame) {
                self.pending.push_back(pending_frame(calls, quota, header, body));
            }
        }
    }

    /// Returns whether the caller must set a timer that frees unused shared memory.
    pub(super) fn start_memory_timer(&mut self) -> bool {
        !std::mem::replace(&mut self.frees_memory, true)
    }

    /// Returns whether a timer is set that frees unused shared memory.
    pub(super) fn has_memory_timer(&self) -> bool {
        self.frees_memory
    }

    /// Records that this timer has fired.
    pub(super) fn memory_timer_fired(&mut self) {
        self.frees_memory = false;
    }
}

/// Returns the header of a reply; `None` while the shared memory has no room for the body.
/// `awaits_bye` says that it matters to the server whether the client disconnects in order.
pub(super) fn reply_header(
    calls: &mut Calls,
    (call, status): (u32, Status),
    entries: MessageEntries,
    body: BodySize,
    awaits_bye: bool,
) -> Option<Header> {
    let mut header = calls.reply(call, status, entries, body)?;
    header.awaits_bye = awaits_bye;
    Some(header)
}

/// Makes a pending reply of a batched one, or of a fault if the quota is exhausted.
fn pending_frame(
    calls: &mut Calls,
    quota: &Arc<Quota>,
    header: Header,
    body: &[u8],
) -> PendingReply {
    let call = header.call;
    match quota.take(Resource::Reply(body.len()), 0) {
        Ok(quota_guard) => {
            let status = Status::from_number(header.code).unwrap_or(Status::Fault);
            let (body, handles) = (body.to_vec().into(), ReceivedHandles::new());
            PendingReply::new((call, status), Some(header), body, handles, Some(quota_guard))
        }
        Err(limit) => {
            let error = io::Error::new(io::ErrorKind::QuotaExceeded, format!("too many {limit}"));
            let header = calls.reply_instead(&header, unsendable(&error).len());
            PendingReply::fault(call, Some(header), &error)
        }
    }
}

/// From `errno(3)`.
const EPERM: i32 = 1;

/// Returns whether the client has disconnected. The end of the stream is handled when it is
/// received.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// Returns the fault that replaces a result that the system can't send.
pub(super) fn unsendable(error: &io::Error) -> Payload<'static> {
    let text = match error.raw_os_error() {
        // `SO_PASSRIGHTS` is off at the other end (Linux 6.16).
        Some(EPERM) => format!("the client doesn't accept handles: {error}"),
        _ => error.to_string(),
    };
    let fault = match error.kind() {
        io::ErrorKind::FileTooLarge => Fault::TooLarge { text },
        _ => Fault::Unsendable { text },
    };
    fault.write().into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::quota::MAX;

    #[test]
    fn the_handles_of_replies_that_are_not_sent_are_closed_by_another_thread() {
        const LINGER: Duration = Duration::from_secs(4);
        // The close of this socket blocks the other thread.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _peer = listener.accept().unwrap();
        rustix::net::sockopt::set_socket_linger(&stream, Some(LINGER)).unwrap();
        stream.set_nonblocking(true).unwrap();
        while stream.write(&[0; 65_536]).is_ok() {}
        let mut handles = vec![stream.into()];
        handles.extend((0..50).map(|_| io::pipe().unwrap().1.into()));

        let quota = Quota::with_in_flight(MAX);
        let mut outbox = Outbox::default();
        let handles = ReceivedHandles::of(handles.into_iter().collect(), &quota);
        outbox.push(PendingReply::new((0, Status::Done), None, Vec::new().into(), handles, None));
        let begin = Instant::now();
        drop(outbox.take_pending());
        let unclosed = MAX - quota.limits().descriptors;
        // If the machine was too slow, the close may have ended.
        if begin.elapsed() < LINGER / 2 {
            assert_eq!(unclosed, 51, "each unclosed handle counts in the quota");
        }
        assert_eq!(quota.may_send_handles(), Ok(()));
    }
}
