//! The registered handles of this process that a peer keeps.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use syshandle_os::BorrowedHandle;
use syshandle_wire::{Entries, Entry, SlotId, SlotNote, Violation};

use super::{NoteQueue, PassedHandles, Slots};
use crate::registered::linux::{Registrar, Registration, is_any_registered};

/// The registered handles that were passed on a connection.
#[derive(Debug, Default)]
pub(super) struct SentSlots {
    by_number: HashMap<RawFd, SentHandle>,
    /// The descriptor numbers of the handles in slots.
    slots: HashMap<SlotId, RawFd>,
    /// The requests without an answer, each with the number of its handle; `None` if the handle is no
    /// longer registered.
    requests: HashMap<u16, Option<RawFd>>,
    last_token: u16,
}

#[derive(Debug)]
struct SentHandle {
    registration: u64,
    state: SentState,
}

#[derive(Debug)]
enum SentState {
    /// The peer was asked to keep the handle, and has not answered.
    Asked(u16),
    /// The peer keeps the handle.
    Kept(Arc<SentSlot>),
    /// The peer does not keep the handle.
    Declined,
}

/// A slot of the peer. Dropping it gives the slot up: no later message may name it.
#[derive(Debug)]
pub(super) struct SentSlot {
    id: SlotId,
    notes: Arc<NoteQueue>,
}

impl Drop for SentSlot {
    fn drop(&mut self) {
        self.notes.push(SlotNote::Released(self.id));
    }
}

/// The slots that a message names, and the requests to keep handles that it makes.
#[derive(Debug, Default)]
pub(crate) struct PassedSlots {
    /// Keeps the slots valid until the message is sent.
    slots: Vec<Arc<SentSlot>>,
    requests: Option<Box<Requests>>,
}

/// The token of a request, and the registration of its handle. The last owner of a registration takes
/// locks of its connections when it is dropped, so none is dropped under these locks.
type Request = (u16, Arc<Registration>);

/// Requests to keep handles. If the message is not sent, they are forgotten.
#[derive(Debug)]
struct Requests {
    slots: Arc<Slots>,
    requests: Vec<Request>,
    are_sent: AtomicBool,
}

impl PassedSlots {
    /// Returns the slots of a message that is sent later. It makes no requests, because it may never
    /// be sent.
    pub(crate) fn of_later_message(&self) -> Self {
        Self { slots: self.slots.clone(), requests: None }
    }

    /// Records that the message was sent.
    #[inline]
    pub(crate) fn are_sent(&self) {
        if let Some(requests) = &self.requests {
            requests.are_sent.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        if !self.are_sent.load(Ordering::Relaxed) {
            let mut sent = self.slots.sent();
            self.requests.iter().for_each(|(token, _)| sent.unsent(*token));
        }
    }
}

/// Implements [`Slots::pass`].
#[inline]
pub(super) fn pass<'h>(
    slots: &Arc<Slots>,
    table: &Entries,
    handles: &[BorrowedHandle<'h>],
) -> Option<PassedHandles<'h>> {
    if handles.is_empty() || !is_any_registered() {
        return None;
    }
    let mut passed = PassedSlots::default();
    let mut requests = Vec::new();
    let mut rest = Vec::new();
    let mut entry = |sent: &mut SentSlots, handle: &BorrowedHandle<'h>| {
        let used = (&mut passed.slots, &mut requests);
        let entry = sent.entry(slots, handle.as_raw_fd(), used);
        if !matches!(entry, Entry::Slot(_)) {
            rest.push(*handle);
        }
        entry
    };
    let mut sent = slots.sent();
    let table: Entries = match table.is_empty() {
        true => handles.iter().map(|handle| entry(&mut sent, handle)).collect(),
        false => {
            let mut handles = handles.iter();
            let replaced = table.iter().map(|old| match old {
                Entry::Handle => handles.next().map_or(old, |handle| entry(&mut sent, handle)),
                _ => old,
            });
            replaced.collect()
        }
    };
    drop(sent);
    if passed.slots.is_empty() && requests.is_empty() {
        return None;
    }
    if !requests.is_empty() {
        let (slots, are_sent) = (slots.clone(), AtomicBool::new(false));
        passed.requests = Some(Box::new(Requests { slots, requests, are_sent }));
    }
    Some(PassedHandles { table, handles: rest, slots: passed })
}

impl SentSlots {
    /// Returns the entry of a handle in the next message.
    fn entry(
        &mut self,
        slots: &Arc<Slots>,
        number: RawFd,
        (used, requests): (&mut Vec<Arc<SentSlot>>, &mut Vec<Request>),
    ) -> Entry {
        match self.by_number.get(&number).map(|handle| &handle.state) {
            Some(SentState::Kept(slot)) => {
                used.push(slot.clone());
                Entry::Slot(slot.id)
            }
            Some(SentState::Asked(_) | SentState::Declined) => Entry::Handle,
            None => match self.ask(slots, number) {
                Some(request) => {
                    let token = request.0;
                    requests.push(request);
                    Entry::HandleToKeep(token)
                }
                None => Entry::Handle,
            },
        }
    }

    /// Makes a request to keep a handle, if the handle is registered.
    #[cold]
    fn ask(&mut self, slots: &Arc<Slots>, number: RawFd) -> Option<Request> {
        if self.requests.len() >= REQUESTS_MAX {
            return None;
        }
        let registration = Registration::find(number)?;
        let token = loop {
            self.last_token = self.last_token.wrapping_add(1);
            if self.last_token != 0 && !self.requests.contains_key(&self.last_token) {
                break self.last_token;
            }
        };
        self.requests.insert(token, Some(number));
        let state = SentState::Asked(token);
        self.by_number.insert(number, SentHandle { registration: registration.id(), state });
        let slots: Weak<dyn Registrar> = Arc::<Slots>::downgrade(slots);
        registration.add(slots);
        Some((token, registration))
    }

    /// Forgets a request that was not sent.
    fn unsent(&mut self, token: u16) {
        if let Some(Some(number)) = self.requests.remove(&token) {
            self.by_number.remove(&number);
        }
    }

    /// Records the answer to a request. Returns the slot if the handle is no longer registered.
    pub(super) fn answered(
        &mut self,
        token: u16,
        slot: Option<SlotId>,
        notes: &Arc<NoteQueue>,
    ) -> Result<Option<SlotId>, Violation> {
        let number = self.requests.remove(&token).ok_or(Violation::UnknownToken(token))?;
        let handle = number.and_then(|number| Some((number, self.by_number.get_mut(&number)?)));
        let Some((number, handle)) = handle else { return Ok(slot) };
        handle.state = match slot {
            Some(id) => {
                self.slots.insert(id, number);
                SentState::Kept(Arc::new(SentSlot { id, notes: notes.clone() }))
            }
            None => SentState::Declined,
        };
        Ok(None)
    }

    /// Forgets a slot that the peer has taken back. A later message may ask again.
    pub(super) fn taken_back(&mut self, slot: SlotId) -> Option<Arc<SentSlot>> {
        let number = self.slots.remove(&slot)?;
        self.remove(number)
    }

    /// Forgets a handle that is no longer registered.
    pub(super) fn forget(&mut self, number: RawFd, registration: u64) -> Option<Arc<SentSlot>> {
        let handle = self.by_number.get(&number)?;
        if handle.registration != registration {
            return None;
        }
        let slot = self.remove(number);
        if let Some(slot) = &slot {
            self.slots.remove(&slot.id);
        }
        slot
    }

    fn remove(&mut self, number: RawFd) -> Option<Arc<SentSlot>> {
        match self.by_number.remove(&number)?.state {
            SentState::Kept(slot) => Some(slot),
            SentState::Asked(token) => {
                self.requests.insert(token, None);
                None
            }
            SentState::Declined => None,
        }
    }
}

/// Limit of requests without an answer. The peer answers each request with its next frame, so more
/// of them gain nothing.
const REQUESTS_MAX: usize = 1024;
