//! Replies to calls, and the shared memory of their bodies.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use syshandle_os::{BorrowedHandle, Interest};
use syshandle_types::{Limits, MessageObject, Payload};
use syshandle_wire::{Body, Entries, Fault, Header, MessageEntries, Status};

use super::calls::CallId;
use super::outbox::{PendingReply, SendOutcome, is_gone, reply_header, unsendable};
use super::reply_batch::may_be_batched;
use super::{ServerConnection, SharedState, UNUSED_MEMORY};
use crate::buffer::give_bytes;
use crate::link::ArenaRange;
use crate::quota::{QuotaGuard, Resource};
use crate::received_handles::ReceivedHandles;
use crate::server::linux::arguments::PeerMemory;
use crate::server::linux::reactor::Reactor;
use crate::server::linux::reactor::timers::SourceTimer;
use crate::slots::PassedSlots;
use crate::sync::atomic::AtomicUsize;
use crate::{Error, ErrorKind};

impl ServerConnection {
    /// Sends the reply of a call, or keeps it as a pending reply until there is room.
    pub(crate) fn reply(
        &self,
        reactor: &Arc<Reactor>,
        call: CallId,
        status: Status,
        body: Payload<'_>,
        handles: &[BorrowedHandle<'_>],
    ) {
        self.reply_with(reactor, (call, status), body, handles, &[]);
    }

    /// Sends a reply like [`ServerConnection::reply`]. `objects` are the entries of a reply that
    /// refers to objects. A one-way call has no reply: only its end, or its failure, is recorded.
    pub(crate) fn reply_with(
        &self,
        reactor: &Arc<Reactor>,
        (call, status): (CallId, Status),
        body: Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        objects: &[Option<MessageObject>],
    ) {
        match call.one_way {
            Some(number) => self.end_one_way(reactor, (call, number), status, body),
            None => self.send_or_keep(reactor, (call.id, status), body, handles, objects),
        }
        if !objects.is_empty() {
            // The streams of the reply have begun, or have ended because the reply was not sent.
            self.streams.wake();
        }
        self.end_if_withdrawn(reactor);
    }

    /// Ends a one-way call, and lets the calls start that have waited for it.
    fn end_one_way(
        &self,
        reactor: &Arc<Reactor>,
        (call, number): (CallId, u32),
        status: Status,
        body: Payload<'_>,
    ) {
        let mut shared = self.shared();
        shared.calls.end_one_way(number);
        let next = shared.order.end(call.object, number);
        let fault = match status {
            Status::Done => None,
            Status::Fault => Some(body.into_vec()),
            // Only a client that does not know the method calls it in this way.
            Status::Failed => {
                let text = "the method returned an error of its own".to_owned();
                Some(Fault::Failed { text }.write())
            }
        };
        let is_kept = !shared.state.is_closed()
            && match fault {
                None => self.acknowledge(&mut shared, false),
                Some(fault) => {
                    let header = shared.calls.one_way_failed(call, fault.len());
                    self.send_acknowledgement(&mut shared, header, fault)
                }
            };
        drop(shared);
        next.into_iter().for_each(|call| reactor.run_beside(call));
        if is_kept {
            self.send_pending(reactor);
        }
    }

    /// Acknowledges one-way calls that have ended, if that should not wait for the next reply.
    /// Returns whether there was no room, so that the caller must send the pending replies.
    #[inline]
    pub(super) fn acknowledge(&self, shared: &mut SharedState, at_once: bool) -> bool {
        match shared.calls.acknowledgement(at_once) {
            Some(header) => self.send_acknowledgement(shared, header, Vec::new()),
            None => false,
        }
    }

    fn send_acknowledgement(
        &self,
        shared: &mut SharedState,
        mut header: Header,
        fault: Vec<u8>,
    ) -> bool {
        header.awaits_bye = self.session.lasts();
        let body = fault.into();
        if !shared.outbox.has_pending() {
            match self.link.send(&header, &body, &[]) {
                Ok(()) => return false,
                Err(error) if is_gone(&error) => return false,
                Err(_) => {}
            }
        }
        shared.outbox.push(PendingReply::acknowledgement(header, body));
        true
    }

    fn send_or_keep(
        &self,
        reactor: &Arc<Reactor>,
        (call, status): (u32, Status),
        body: Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        objects: &[Option<MessageObject>],
    ) {
        let refuse = |error: io::Error| {
            crate::log::warn!(%error, "a reply can't be sent");
            self.send_or_keep(reactor, (call, Status::Fault), unsendable(&error), &[], &[]);
        };
        let (mut opening, stream_ids) = match self.open_streams(objects) {
            Ok(opened) => opened,
            Err(error) => return refuse(error),
        };
        let mut guard = self.shared();
        let shared = &mut *guard;
        if shared.state.is_closed() {
            return;
        }
        let entries_max = objects.len().max(handles.len());
        if body.len() + Entries::ENTRY_LEN * entries_max > Limits::INLINE_BYTES_MAX {
            if let Err(error) = self.prepare_memory(shared, body.len()) {
                drop(guard);
                return refuse(error);
            }
        }
        let table = match objects.is_empty() {
            true => Entries::default(),
            false => {
                match shared.objects.pass(reactor, &self.session.quota, objects, &stream_ids) {
                    Ok(table) => table,
                    Err(limit) => {
                        drop(guard);
                        let body = too_many_objects(limit);
                        return self.send_or_keep(reactor, (call, Status::Fault), body, &[], &[]);
                    }
                }
            }
        };
        let slots = self.slots(shared).and_then(|slots| slots.pass(&table, handles));
        let (table, handles, slots) = match &slots {
            None => (table, handles, None),
            Some(passed) => (passed.table.clone(), &passed.handles[..], Some(&passed.slots)),
        };
        let (awaits_bye, count) = (self.session.lasts(), handles.len());
        // From here on the call counts as answered.
        let _sending = SendingReply::start(&self.sending);
        let entries = MessageEntries { handles: count as u16, table: table.clone() };
        let header =
            reply_header(&mut shared.calls, (call, status), entries, body.size(), awaits_bye);
        let may_send = !shared.outbox.has_acknowledgement();
        if let Some(header) = header.as_ref().filter(|_| may_send) {
            // Replies to calls that were received together may be sent together.
            let in_turn = !self.inbox.is_empty() || shared.outbox.has_batch();
            let is_batched = in_turn && self.batch_reply(shared, reactor, header, (&body, count));
            drop(guard);
            let sent = match is_batched {
                true => Ok(()),
                false => self.link.send(header, &body, handles),
            };
            match sent {
                Ok(()) => {
                    if let Some(slots) = slots {
                        slots.are_sent();
                    }
                    if let Some(opening) = opening.take() {
                        opening.sent();
                    }
                    if matches!(header.body, Body::Shared { .. }) {
                        self.free_memory_later(&mut self.shared(), reactor);
                    }
                    return give_bytes(body.into_room());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return self.reply_instead(reactor, header, &error),
            }
            guard = self.shared();
        }
        let pending = match (self.own_reply(&body, handles, &table), header) {
            (Ok((handles, quota_guard)), header) => {
                let body = body.into_vec().into();
                let reply = (call, status);
                // A reply that is sent later asks the client to keep nothing.
                let header = header
                    .map(|header| Header { entries: header.entries.without_requests(), ..header });
                let slots = slots.map_or_else(PassedSlots::default, PassedSlots::of_later_message);
                PendingReply::new(reply, header, body, handles, Some(quota_guard)).with_table(
                    table.without_requests(),
                    slots,
                    opening.take(),
                )
            }
            (Err(error), None) => {
                guard.objects.take_back(&table);
                PendingReply::fault(call, None, &error)
            }
            (Err(error), Some(header)) => {
                drop(guard);
                return self.reply_instead(reactor, &header, &error);
            }
        };
        guard.outbox.push(pending);
        drop(guard);
        self.send_pending(reactor);
    }

    /// Creates the shared memory for a reply of `len` bytes, unless it exists.
    #[cold]
    fn prepare_memory(&self, shared: &mut SharedState, len: usize) -> io::Result<()> {
        shared.calls.set_memory_size(self.link.prepare_outgoing(len)?);
        Ok(())
    }

    /// Adds a reply to the batch if it is allowed there, and otherwise sends the batch. Returns
    /// whether the caller needn't send the reply.
    #[inline(never)]
    fn batch_reply(
        &self,
        shared: &mut SharedState,
        reactor: &Reactor,
        header: &Header,
        (body, handles): (&Payload<'_>, usize),
    ) -> bool {
        let may = may_be_batched(header, handles)
            && shared.state.is_dedicated()
            && !shared.outbox.has_pending()
            && reactor.has_watchdog();
        if !may {
            shared.send_batch(self);
            return false;
        }
        if !shared.outbox.add_to_batch(header, &body.as_slice()) || self.inbox.is_empty() {
            shared.send_batch(self);
        }
        true
    }

    /// Returns duplicates of the handles, and a part of the client's quota, for a reply that
    /// becomes pending.
    fn own_reply(
        &self,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
        table: &Entries,
    ) -> io::Result<(ReceivedHandles, QuotaGuard)> {
        let quota = &self.session.quota;
        // The header has a copy of the table.
        let bytes = body.len() + 2 * table.as_bytes().len();
        let quota_guard = quota.take(Resource::Reply(bytes), handles.len());
        let limit = |limit| io::Error::new(io::ErrorKind::QuotaExceeded, limit);
        let quota_guard = quota_guard.map_err(|name| limit(format!("too many {name}")))?;
        let owned =
            handles.iter().map(BorrowedHandle::try_clone_to_owned).collect::<Result<_, _>>();
        // The handles are treated as handles of the client, because a method may return a handle
        // that the client sent.
        Ok((ReceivedHandles::of(owned?, quota), quota_guard))
    }

    /// Sends a fault with the reason instead of a reply that can't be sent.
    fn reply_instead(&self, reactor: &Arc<Reactor>, unsent: &Header, error: &io::Error) {
        if is_gone(error) {
            return;
        }
        crate::log::warn!(%error, "a reply can't be sent");
        let mut shared = self.shared();
        shared.objects.take_back(&unsent.entries);
        let header = shared.calls.reply_instead(unsent, unsendable(error).len());
        shared.outbox.push(PendingReply::fault(unsent.call, Some(header), error));
        drop(shared);
        self.send_pending(reactor);
    }

    /// Sends pending replies while there is room.
    pub(super) fn send_pending(&self, reactor: &Arc<Reactor>) {
        let mut guard = self.shared();
        let SharedState { outbox, calls, objects, .. } = &mut *guard;
        match outbox.send_pending((calls, objects), &self.link, self.session.lasts()) {
            SendOutcome::Sent { used_memory } => {
                if used_memory {
                    self.free_memory_later(&mut guard, reactor);
                }
                let waits = guard.outbox.interest() == Interest::WhileBoth;
                self.streams.set_calls_wait(waits);
                if self.streams.wants_room() {
                    self.streams.on_room();
                }
                self.update_poller(&mut guard, reactor);
                drop(guard);
                self.streams.wake();
                self.end_if_withdrawn(reactor);
            }
            SendOutcome::Failed => {
                drop(guard);
                self.end(reactor, false);
            }
        }
    }

    /// Sets a timer that frees the shared memory of replies. Called when a reply was sent through
    /// shared memory.
    fn free_memory_later(&self, shared: &mut SharedState, reactor: &Reactor) {
        if shared.outbox.start_memory_timer() {
            reactor.set_timer(UNUSED_MEMORY, self.key(), SourceTimer::FreeMemory);
        }
    }

    /// Frees the shared memory of replies, or sets the timer again if the memory was used recently.
    pub(super) fn free_memory(&self, reactor: &Reactor) {
        let mut shared = self.shared();
        let used_to = shared.calls.used_memory();
        let was_used = self.link.outgoing().was_used();
        if !was_used {
            self.link.outgoing().free_from(used_to);
        }
        shared.outbox.memory_timer_fired();
        if was_used || used_to > 0 {
            self.free_memory_later(&mut shared, reactor);
        }
    }

    /// Releases a range of the client's shared memory.
    pub(super) fn release_range(&self, shared: &mut SharedState, body: Body) {
        let release = shared.calls.has_read(body);
        self.release(shared, release);
    }

    /// Sends a frame that releases ranges of the client's shared memory, if they should not wait
    /// for the next reply.
    pub(super) fn release(&self, shared: &mut SharedState, header: Option<Header>) {
        if let Some(header) = header {
            if self.link.send_header(&header).is_err() {
                shared.calls.unreleased(&header);
            }
        }
    }
}

/// Returns the fault of a method that has returned more objects than its client may have.
fn too_many_objects(limit: &str) -> Payload<'static> {
    // The fault itself would say that the call did not run.
    let error = Error::new(ErrorKind::Busy, Fault::Busy { limit: limit.into() }.to_string());
    crate::log::warn!(%error, "a reply can't be sent");
    error.to_fault(false).write().into()
}

impl PeerMemory for ServerConnection {
    fn range(&self, body: Body) -> (ArenaRange<'_>, usize) {
        self.link.range(body)
    }

    fn has_read(&self, body: Body) {
        self.release_range(&mut self.shared(), body);
    }
}

/// Counts a reply that a thread is sending without the lock, until dropped.
struct SendingReply<'c>(&'c AtomicUsize);

impl<'c> SendingReply<'c> {
    fn start(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for SendingReply<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
