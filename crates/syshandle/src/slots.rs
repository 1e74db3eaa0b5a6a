//! Registered handles of a connection, in both directions.
//!
//! | part | holds |
//! |---|---|
//! | [`SentSlots`] | the registered handles of this process that the peer keeps |
//! | [`KeptSlots`] | the handles that this process keeps for the peer |
//! | notes | what happened to slots, until a frame tells the peer |
//!
//! The receiver of a handle chooses the slot. A slot belongs to one connection and one generation,
//! so a name of it means nothing elsewhere or later.

mod kept;
mod sent;

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use syshandle_os::{BorrowedHandle, Filesystems, OwnedHandle};
use syshandle_wire::{Entries, SlotId, SlotNote, SlotNotes, Violation};

use self::kept::KeptSlots;
pub(crate) use self::kept::{KeptGuard, KeptHandle};
pub(crate) use self::sent::PassedSlots;
use self::sent::SentSlots;
use crate::quota::Quota;
use crate::registered::linux::Registrar;

/// The registered handles of a connection.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    sent: Mutex<SentSlots>,
    kept: Mutex<KeptSlots>,
    notes: Arc<NoteQueue>,
    connection: OnceLock<Weak<dyn SlotConnection>>,
}

/// A connection whose messages refer to slots.
pub(crate) trait SlotConnection: std::fmt::Debug + Send + Sync {
    /// Sends the notes, as far as the socket has room. The next frame sends the others.
    fn send_slot_notes(&self);
}

/// The handles of a message, some of which are registered.
pub(crate) struct PassedHandles<'h> {
    pub(crate) table: Entries,
    /// The handles that the frame passes.
    pub(crate) handles: Vec<BorrowedHandle<'h>>,
    pub(crate) slots: PassedSlots,
}

impl Slots {
    /// Sets the connection that sends the notes.
    #[inline]
    pub(crate) fn set_connection<C: SlotConnection + 'static>(
        &self,
        connection: impl FnOnce() -> Weak<C>,
    ) {
        self.connection.get_or_init(|| connection());
    }

    /// Replaces the registered handles among the handles of a message by their slots, or by requests
    /// to keep them. Returns `None` if none of them is registered.
    pub(crate) fn pass<'h>(
        self: &Arc<Self>,
        table: &Entries,
        handles: &[BorrowedHandle<'h>],
    ) -> Option<PassedHandles<'h>> {
        sent::pass(self, table, handles)
    }

    /// Keeps a handle, if `reserve` reserves a place for it, and answers the request of its sender.
    /// Returns the handle if it is not kept.
    ///
    /// `notices_death` returns whether the end of the peer's process ends the connection even if this
    /// process holds the peer's end of it, which may be a kept socket.
    pub(crate) fn keep(
        &self,
        token: u16,
        handle: OwnedHandle,
        (filesystems, sender): (&Filesystems, &Arc<Quota>),
        reserve: impl FnOnce() -> Option<KeptGuard>,
        notices_death: impl FnOnce() -> bool,
    ) -> Result<Arc<KeptHandle>, OwnedHandle> {
        if !self.kept().has_room() {
            self.decline(token);
            return Err(handle);
        }
        match kept::examine(handle, (filesystems, sender), notices_death, reserve) {
            Ok(handle) => {
                let kept = Arc::new(handle);
                let slot = self.kept().put(kept.clone());
                self.notes.push(SlotNote::Kept { token, slot });
                Ok(kept)
            }
            Err(handle) => {
                self.decline(token);
                Err(handle)
            }
        }
    }

    /// Answers that a handle is not kept.
    pub(crate) fn decline(&self, token: u16) {
        self.notes.push(SlotNote::Declined { token });
    }

    /// Returns the handle of a slot, unless the slot holds another one or was taken back.
    pub(crate) fn get(&self, slot: SlotId) -> Option<Arc<KeptHandle>> {
        self.kept().get(slot)
    }

    /// Takes all handles back. The peer is told so. Returns the handles.
    pub(crate) fn take_back(&self) -> Vec<Arc<KeptHandle>> {
        let (slots, handles) = self.kept().take_back();
        slots.into_iter().for_each(|slot| self.notes.push(SlotNote::TakenBack(slot)));
        handles
    }

    /// Acts on the notes of the peer. Returns the handles that it has released.
    ///
    /// # Errors
    /// The peer violated the protocol.
    pub(crate) fn receive(&self, notes: &[u8]) -> Result<Vec<Arc<KeptHandle>>, Violation> {
        let mut released = Vec::new();
        for note in SlotNotes::read(notes)?.iter() {
            match note? {
                SlotNote::Released(slot) => released.extend(self.kept().release(slot)?),
                SlotNote::Kept { token, slot } => {
                    if let Some(unused) = self.sent().answered(token, Some(slot), &self.notes)? {
                        self.notes.push(SlotNote::Released(unused));
                    }
                }
                SlotNote::Declined { token } => {
                    self.sent().answered(token, None, &self.notes)?;
                }
                SlotNote::TakenBack(slot) => {
                    let slot = self.sent().taken_back(slot);
                    // The last message that names the slot releases it.
                    drop(slot);
                }
            }
        }
        Ok(released)
    }

    /// Returns whether notes wait to be sent.
    #[inline]
    pub(crate) fn has_notes(&self) -> bool {
        self.notes.len.load(Ordering::Relaxed) > 0
    }

    /// Sends the notes with `send`, as far as it succeeds. Returns `false` if some are left.
    #[cold]
    pub(crate) fn send_notes(&self, mut send: impl FnMut(&[SlotNote]) -> bool) -> bool {
        // The lock is held while the notes are sent, so that they arrive in order. Sending doesn't
        // wait.
        let mut notes = self.notes.queue();
        while !notes.is_empty() {
            let count = notes.len().min(SlotNotes::MAX);
            if !send(&notes[..count]) {
                break;
            }
            notes.drain(..count);
            self.notes.len.store(notes.len(), Ordering::Relaxed);
        }
        notes.is_empty()
    }

    /// Forgets all slots, because the connection has ended. Returns the handles of the peer.
    pub(crate) fn close(&self) -> Vec<Arc<KeptHandle>> {
        let sent = std::mem::take(&mut *self.sent());
        drop(sent);
        let (_, handles) = self.kept().take_back();
        self.notes.clear();
        handles
    }

    fn sent(&self) -> MutexGuard<'_, SentSlots> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, KeptSlots> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registrar for Slots {
    fn forget(&self, number: RawFd, registration: u64) {
        let slot = self.sent().forget(number, registration);
        drop(slot);
        if self.has_notes() {
            if let Some(connection) = self.connection.get().and_then(Weak::upgrade) {
                connection.send_slot_notes();
            }
        }
    }
}

/// Notes that wait to be sent.
#[derive(Debug, Default)]
struct NoteQueue {
    queue: Mutex<Vec<SlotNote>>,
    len: AtomicUsize,
}

impl NoteQueue {
    fn push(&self, note: SlotNote) {
        let mut queue = self.queue();
        queue.push(note);
        self.len.store(queue.len(), Ordering::Relaxed);
    }

    fn clear(&self) {
        let mut queue = self.queue();
        queue.clear();
        self.len.store(0, Ordering::Relaxed);
    }

    fn queue(&self) -> MutexGuard<'_, Vec<SlotNote>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
