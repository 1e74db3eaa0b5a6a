//! Frames of one client that were received together, until each is acted on.
//!
//! Only a thread that stays with a client receives several at once: nobody else waits for it. When it
//! gives the client up in the middle, because a method takes long, the frames that are left stay with
//! the connection, and whoever runs its loop acts on them first.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use syshandle_os::{HANDLES_PER_MESSAGE_MAX, Received};

use super::shares::{Part, Share, Taken};
use crate::arrived::Arrived;
use crate::batch::Batch;
use crate::buffer::FrameBuffer;
use crate::sync::atomic::AtomicBool;
use crate::sync::{Mutex, MutexGuard, often};

/// What has come from a client, and nobody has acted on.
#[derive(Default)]
pub(super) struct Inbox {
    /// So that nobody needs the lock where there is nothing, as is usual. Changes under the lock.
    filled: AtomicBool,
    /// Made when it is first needed: most clients never have several calls in flight.
    kept: Mutex<Option<Box<Kept>>>,
}

/// Something, or nothing in both.
#[derive(Default)]
struct Kept {
    batch: Option<Batch>,
    /// What the handles of those that are left take of the client's share.
    taken: Option<Taken>,
}

impl Inbox {
    pub(super) fn is_empty(&self) -> bool {
        !self.filled.load(Ordering::Acquire)
    }

    /// Receives as many frames as `count`, or as there are descriptors for in half of what is free of
    /// the client's share: each of them may come with as many handles as there may be. Where that
    /// isn't enough for two nothing is done: then `None`.
    pub(super) fn receive(
        &self,
        share: &Arc<Share>,
        count: usize,
        receive: impl FnOnce(&mut Batch, usize) -> io::Result<()>,
    ) -> Option<io::Result<usize>> {
        let count = count.min(share.free_descriptors() / 2 / HANDLES_PER_MESSAGE_MAX);
        if count < 2 {
            return None;
        }
        let mut taken = share.take(Part::Unhandled, count * HANDLES_PER_MESSAGE_MAX).ok()?;
        let mut batch = Batch::take();
        if let Err(error) = receive(&mut batch, count) {
            return Some(Err(error));
        }
        taken.keep(batch.handles().map(|arrived| arrived.len()).sum());
        let found = batch.len();
        let mut kept = self.kept();
        **kept.get_or_insert_default() = Kept { batch: Some(batch), taken: Some(taken) };
        self.filled.store(true, Ordering::Release);
        Some(Ok(found))
    }

    /// Takes the next one: its bytes for a buffer, and its handles.
    #[cold]
    pub(super) fn next(&self, bytes: &mut FrameBuffer, handles: &mut Arrived) -> Option<Received> {
        let mut guard = self.kept();
        let kept = guard.as_mut()?;
        let batch = kept.batch.as_mut()?;
        let received = batch.next(bytes, handles);
        if let Some(taken) = &mut kept.taken {
            taken.give_back(handles.len());
        }
        if batch.len() == 0 {
            self.filled.store(false, Ordering::Release);
            let empty = std::mem::take(&mut **kept);
            drop(guard);
            drop(empty);
        }
        received
    }

    /// Refuses what is there.
    pub(super) fn clear(&self) {
        let mut guard = self.kept();
        let kept = guard.as_mut().map(|kept| std::mem::take(&mut **kept));
        self.filled.store(false, Ordering::Release);
        drop(guard);
        drop(kept);
    }

    fn kept(&self) -> MutexGuard<'_, Option<Box<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether several frames of a client may wait at once.
///
/// Who receives one that was there learns nothing of others. So now and then room for a second one
/// is offered too, which costs next to nothing; and once there was one, room for many.
#[derive(Debug)]
pub(super) struct Crowd {
    /// How often there is room for many yet.
    many: u32,
    /// How often for one, until room for a second one is offered.
    until_try: u32,
}

impl Crowd {
    pub(super) fn new() -> Self {
        Self { many: 0, until_try: TRY_EACH }
    }

    /// For how many frames there is to be room.
    pub(super) fn count(&mut self) -> usize {
        if self.many > 0 {
            return Batch::MAX;
        }
        self.until_try -= 1;
        if self.until_try > 0 {
            return 1;
        }
        self.until_try = TRY_EACH;
        2
    }

    /// So many have come, where there was room for several.
    pub(super) fn found(&mut self, count: usize) {
        self.many = if count > 1 { TRY_EACH } else { self.many.saturating_sub(1) };
    }
}

/// Room for a second frame is offered each so many times: a call that is alone isn't to notice.
const TRY_EACH: u32 = often(64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_for_many_is_offered_when_there_was_a_second_and_not_for_ever() {
        let mut crowd = Crowd::new();
        crowd.until_try = 3;
        assert_eq!([(); 3].map(|()| crowd.count()), [1, 1, 2]);
        crowd.found(1);
        assert_ne!(crowd.count(), Batch::MAX);
        crowd.found(2);
        for _ in 0..TRY_EACH {
            assert_eq!(crowd.count(), Batch::MAX);
            crowd.found(1);
        }
        assert_ne!(crowd.count(), Batch::MAX);
    }
}
