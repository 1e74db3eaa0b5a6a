//! Replies: sent at once, or kept until there is room for them.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use syshandle_os::BorrowedHandle;
use syshandle_wire::{Body, BodySize, Fault, FrameKind, Header, Limits, Payload, Status};

use super::connection::{Connection, State};
use super::reactor::Reactor;
use super::shares::{Part, Taken};
use crate::arrived::Arrived;
use crate::buffer::give_bytes;

/// A reply for which there was no room: in the socket, or in the shared memory, and then it has no
/// header yet.
pub(super) struct Owed {
    pub(super) call: u32,
    pub(super) status: Status,
    pub(super) header: Option<Header>,
    pub(super) body: Payload<'static>,
    pub(super) handles: Arrived,
    /// Its part of the client's share.
    pub(super) taken: Option<Taken>,
}

impl Connection {
    /// Sends the reply of a call, or keeps it until there is room.
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
        if body.len() > Limits::INLINE_BYTES_MAX
            && let Err(error) = self.prepare_memory(&mut state, body.len())
        {
            drop(state);
            crate::log::warn!(%error, "a reply can't be sent");
            return self.reply(reactor, call, Status::Fault, unsendable(&error), &[]);
        }
        let header = self.reply_header(&mut state, call, status, handles.len(), body.size());
        if let Some(header) = &header {
            // Those of calls that were received together may go together.
            let in_turn = !self.inbox.is_empty() || state.held.is_some();
            let is_held = in_turn && self.hold_reply(&mut state, reactor, header, (&body, handles));
            drop(state);
            let sent = match is_held {
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
        let owed = match (owned, header) {
            (Ok((handles, taken)), header) => {
                let body = body.into_vec().into();
                Owed { call, status, header, body, handles, taken: Some(taken) }
            }
            (Err(error), None) => {
                let (status, body, handles) = (Status::Fault, unsendable(&error), Arrived::new());
                Owed { call, status, header: None, body, handles, taken: None }
            }
            (Err(error), Some(header)) => {
                drop(state);
                return self.reply_instead(reactor, &header, &error);
            }
        };
        state.owed.push_back(owed);
        drop(state);
        self.pay(reactor);
    }

    /// Makes the shared memory for a reply of so many bytes, unless it is there.
    #[cold]
    fn prepare_memory(&self, state: &mut State, len: usize) -> io::Result<()> {
        state.end.outgoing().set_size(self.link.prepare_outgoing(len)?);
        Ok(())
    }

    /// The header of a reply; `None` while the shared memory has no room for its body.
    fn reply_header(
        &self,
        state: &mut State,
        call: u32,
        status: Status,
        handles: usize,
        body: BodySize,
    ) -> Option<Header> {
        let mut header = state.end.reply(call, status, handles as u16, body)?;
        header.awaits_bye = self.session.lasts();
        Some(header)
    }

    /// What a reply needs that waits: handles of its own, and a part of the client's share.
    fn own_reply(
        &self,
        body: &Payload<'_>,
        handles: &[BorrowedHandle<'_>],
    ) -> io::Result<(Arrived, Taken)> {
        let share = &self.session.share;
        let taken = share.take(Part::Reply(body.len()), handles.len());
        let limit = |limit| io::Error::new(io::ErrorKind::QuotaExceeded, limit);
        let taken = taken.map_err(|name| limit(format!("too many {name}")))?;
        let owned =
            handles.iter().map(BorrowedHandle::try_clone_to_owned).collect::<Result<_, _>>();
        // A method may return what the client sent.
        Ok((Arrived::of(owned?, share), taken))
    }

    /// A reply can't be sent as it is: the client learns that, and why.
    fn reply_instead(&self, reactor: &Arc<Reactor>, unsent: &Header, error: &io::Error) {
        if is_gone(error) {
            return;
        }
        crate::log::warn!(%error, "a reply can't be sent");
        let body = unsendable(error);
        let mut state = self.state();
        let header = state.end.reply_instead(unsent, Status::Fault, body.len());
        let (call, status) = (header.call, Status::Fault);
        let handles = Arrived::new();
        let owed = Owed { call, status, header: Some(header), body, handles, taken: None };
        state.owed.push_back(owed);
        drop(state);
        self.pay(reactor);
    }

    /// Sends what is owed, as far as there is room.
    pub(super) fn pay(&self, reactor: &Arc<Reactor>) {
        let mut state = self.state();
        let mut later = VecDeque::new();
        while let Some(mut owed) = state.owed.pop_front() {
            let header = owed.header.take().or_else(|| {
                let (handles, body) = (owed.handles.len(), owed.body.size());
                self.reply_header(&mut state, owed.call, owed.status, handles, body)
            });
            let Some(header) = header else {
                if !state.asked {
                    let ask = self.link.send_header(&Header::new(FrameKind::Release));
                    state.asked = ask.is_ok();
                }
                // Smaller ones needn't wait for it.
                later.push_back(owed);
                continue;
            };
            let handles: Vec<_> = owed.handles.lend().collect();
            let sent = self.link.send(&header, &owed.body, &handles);
            drop(handles);
            match sent {
                Ok(()) if matches!(header.body, Body::Shared { .. }) => {
                    self.free_memory_later(reactor);
                }
                Ok(()) => {}
                Err(error) if is_gone(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    owed.header = Some(header);
                    state.owed.push_front(owed);
                    break;
                }
                Err(error) if header.handles == 0 && matches!(header.body, Body::Inline { .. }) => {
                    crate::log::warn!(%error, "no reply can be sent");
                    drop(state);
                    return self.end(reactor, false);
                }
                Err(error) => {
                    crate::log::warn!(%error, "a reply can't be sent");
                    owed.body = unsendable(&error);
                    owed.handles = Arrived::new();
                    owed.taken = None;
                    // This one needs no memory and no descriptors.
                    let instead = state.end.reply_instead(&header, Status::Fault, owed.body.len());
                    owed.header = Some(instead);
                    state.owed.push_front(owed);
                }
            }
        }
        // Those that wait for room in the socket first: that says what to wait for.
        state.owed.append(&mut later);
        self.watch_in(&mut state, reactor);
    }
}

/// Of `errno(3)`.
const EPERM: i32 = 1;

/// Whether nobody is there any more to send to: the end of file tells the rest.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// What a client gets instead of a result that the system doesn't let through.
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
