//! Replies: sent at once, or kept as pending replies until there is room for them.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use syshandle_os::BorrowedHandle;
use syshandle_types::{BodySize, Limits, Payload};
use syshandle_wire::{Body, Fault, FrameKind, Header, Status};

use super::connection::{ServerConnection, ServerConnectionState};
use super::reactor::Reactor;
use crate::buffer::give_bytes;
use crate::quota::{QuotaGuard, Resource};
use crate::received_handles::ReceivedHandles;

/// A pending reply, for which there was no room. If the shared memory had no room for its body, the
/// reply has no header yet. Otherwise the socket had no room.
pub(super) struct PendingReply {
    pub(super) call: u32,
    pub(super) status: Status,
    pub(super) header: Option<Header>,
    pub(super) body: Payload<'static>,
    pub(super) handles: ReceivedHandles,
    /// The part of the client's quota that the reply takes.
    pub(super) quota_guard: Option<QuotaGuard>,
}

impl ServerConnection {
    /// Sends the reply of a call, or keeps it as a pending reply until there is room.
    pub(super) fn reply(
        &self,
        reactor: &Arc<Reactor>,
        call: u32,
        status: Status,
        body: Payload<'_>,
        handles: &[BorrowedHandle<'_>],
    ) {
        let mut state = self.state();
        if state.ended {
            return;
        }
        let prepared = match body.len() {
            ..=Limits::INLINE_BYTES_MAX => Ok(()),
            bytes => self.prepare_memory(&mut state, bytes),
        };
        if let Err(error) = prepared {
            drop(state);
            crate::log::warn!(%error, "a reply can't be sent");
            return self.reply(reactor, call, Status::Fault, unsendable(&error), &[]);
        }
        let header = self.reply_header(&mut state, call, status, handles.len(), body.size());
        if let Some(header) = &header {
            // Replies to calls that were received together may be sent together.
            let in_turn = !self.inbox.is_empty() || state.reply_batch.is_some();
            let is_batched =
                in_turn && self.batch_reply(&mut state, reactor, header, (&body, handles));
            drop(state);
            let sent = match is_batched {
                true => Ok(()),
                false => self.link.send(header, &body, handles),
            };
            match sent {
                Ok(()) => {
                    if matches!(header.body, Body::Shared { .. }) {
                        self.free_memory_later(reactor);
                    }
                    return give_bytes(body.into_room());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return self.reply_instead(reactor, header, &error),
            }
            state = self.state();
        }
        let owned = self.own_reply(&body, handles);
        let pending = match (owned, header) {
            (Ok((handles, quota_guard)), header) => {
                let body = body.into_vec().into();
                PendingReply { call, status, header, body, handles, quota_guard: Some(quota_guard) }
            }
            (Err(error), None) => {
                let (status, body, handles) =
                    (Status::Fault, unsendable(&error), ReceivedHandles::new());
                PendingReply { call, status, header: None, body, handles, quota_guard: None }
            }
            (Err(error), Some(header)) => {
                drop(state);
                return self.reply_instead(reactor, &header, &error);
            }
        };
        state.pending.push_back(pending);
        drop(state);
        self.send_pending(reactor);
    }

    /// Creates the shared memory for a reply of `len` bytes, unless it exists.
    #[cold]
    fn prepare_memory(&self, state: &mut ServerConnectionState, len: usize) -> io::Result<()> {
        state.end.outgoing().set_size(self.link.prepare_outgoing(len)?);
        Ok(())
    }

    /// Returns the header of a reply; `None` while the shared memory has no room for the body.
    fn reply_header(
        &self,
        state: &mut ServerConnectionState,
        call: u32,
        status: Status,
        handles: usize,
        body: BodySize,
    ) -> Option<Header> {
        let mut header = state.end.reply(call, status, handles as u16, body)?;
        header.awaits_bye = self.session.lasts();
        Some(header)
    }

    /// Returns duplicates of the handles, and a part of the client's quota, for a reply that
    /// becomes pending.
    fn own_reply(
        &self,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
    ) -> io::Result<(ReceivedHandles, QuotaGuard)> {
        let quota = &self.session.quota;
        let quota_guard = quota.take(Resource::Reply(body.len()), handles.len());
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
        let body = unsendable(error);
        let mut state = self.state();
        let header = state.end.reply_instead(unsent, Status::Fault, body.len());
        let (call, status) = (header.call, Status::Fault);
        let handles = ReceivedHandles::new();
        let pending =
            PendingReply { call, status, header: Some(header), body, handles, quota_guard: None };
        state.pending.push_back(pending);
        drop(state);
        self.send_pending(reactor);
    }

    /// Sends pending replies while there is room.
    pub(super) fn send_pending(&self, reactor: &Arc<Reactor>) {
        let mut state = self.state();
        let mut later = VecDeque::new();
        while let Some(mut pending) = state.pending.pop_front() {
            let header = pending.header.take().or_else(|| {
                let (handles, body) = (pending.handles.len(), pending.body.size());
                self.reply_header(&mut state, pending.call, pending.status, handles, body)
            });
            let Some(header) = header else {
                if !state.asked {
                    let ask = self.link.send_header(&Header::new(FrameKind::Release));
                    state.asked = ask.is_ok();
                }
                // Smaller replies don't wait for this one.
                later.push_back(pending);
                continue;
            };
            let handles: Vec<_> = pending.handles.lend().collect();
            let sent = self.link.send(&header, &pending.body, &handles);
            drop(handles);
            match sent {
                Ok(()) if matches!(header.body, Body::Shared { .. }) => {
                    self.free_memory_later(reactor);
                }
                Ok(()) => {}
                Err(error) if is_gone(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    pending.header = Some(header);
                    state.pending.push_front(pending);
                    break;
                }
                Err(error) if header.handles == 0 && matches!(header.body, Body::Inline { .. }) => {
                    crate::log::warn!(%error, "no reply can be sent");
                    drop(state);
                    return self.end(reactor, false);
                }
                Err(error) => {
                    crate::log::warn!(%error, "a reply can't be sent");
                    pending.body = unsendable(&error);
                    pending.handles = ReceivedHandles::new();
                    pending.quota_guard = None;
                    // A fault needs no shared memory and no descriptors.
                    let instead =
                        state.end.reply_instead(&header, Status::Fault, pending.body.len());
                    pending.header = Some(instead);
                    state.pending.push_front(pending);
                }
            }
        }
        // Replies that wait for room in the socket come first, because the first pending reply
        // determines the interest in the socket.
        state.pending.append(&mut later);
        self.watch_in(&mut state, reactor);
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
