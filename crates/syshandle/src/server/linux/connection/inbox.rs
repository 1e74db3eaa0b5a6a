//! Frames of one client that were received together and are not handled yet.
//!
//! Only a thread that is dedicated to a client receives several frames at once, because no other
//! client waits for it. If a method runs long and the thread loses the client, the remaining frames
//! stay with the connection. The thread that runs its loop then handles them first.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use syshandle_os::{HANDLES_PER_MESSAGE_MAX, ReceivedMessage};

use crate::batch::Batch;
use crate::buffer::FrameBuffer;
use crate::quota::{Quota, QuotaGuard, Resource};
use crate::received_handles::ReceivedHandles;
use crate::sync::atomic::AtomicBool;
use crate::sync::{Mutex, MutexGuard, often};

/// Received frames of a client that are not handled yet.
#[derive(Default)]
pub(super) struct Inbox {
    /// Whether there are frames. Avoids taking the lock in the usual case that there are none.
    /// Changed under the lock.
    filled: AtomicBool,
    /// Allocated on first use, because most clients never have several calls in flight.
    kept: Mutex<Option<Box<InboxFrames>>>,
}

/// The frames and their quota. Both fields are `None` if there are no frames.
#[derive(Default)]
struct InboxFrames {
    batch: Option<Batch>,
    /// The part of the client's quota for the handles of the remaining frames.
    quota_guard: Option<QuotaGuard>,
}

impl Inbox {
    pub(super) fn is_empty(&self) -> bool {
        !self.filled.load(Ordering::Acquire)
    }

    /// Receives up to `count` frames. Each frame may contain the maximum of handles, and all of
    /// them together may take half of the client's free descriptors. Returns `None`, and receives
    /// nothing, if this allows fewer than two frames.
    pub(super) fn receive(
        &self,
        quota: &Arc<Quota>,
        count: usize,
        receive: impl FnOnce(&mut Batch, usize) -> io::Result<()>,
    ) -> Option<io::Result<usize>> {
        let count = count.min(quota.free_descriptors() / 2 / HANDLES_PER_MESSAGE_MAX);
        if count < 2 {
            return None;
        }
        let mut quota_guard =
            quota.take(Resource::Descriptors, count * HANDLES_PER_MESSAGE_MAX).ok()?;
        let mut batch = Batch::take();
        if let Err(error) = receive(&mut batch, count) {
            return Some(Err(error));
        }
        quota_guard.keep(batch.handles().map(|arrived| arrived.len()).sum());
        let found = batch.len();
        let mut kept = self.kept();
        **kept.get_or_insert_default() =
            InboxFrames { batch: Some(batch), quota_guard: Some(quota_guard) };
        self.filled.store(true, Ordering::Release);
        Some(Ok(found))
    }

    /// Takes the next frame: its bytes and its handles.
    #[cold]
    pub(super) fn next(
        &self,
        bytes: &mut FrameBuffer,
        handles: &mut ReceivedHandles,
    ) -> Option<ReceivedMessage> {
        let mut guard = self.kept();
        let kept = guard.as_mut()?;
        let batch = kept.batch.as_mut()?;
        let received = batch.next(bytes, handles);
        if let Some(quota_guard) = &mut kept.quota_guard {
            quota_guard.give_back(handles.len());
        }
        if batch.len() == 0 {
            self.filled.store(false, Ordering::Release);
            let empty = std::mem::take(&mut **kept);
            drop(guard);
            drop(empty);
        }
        received
    }

    /// Drops all frames.
    pub(super) fn clear(&self) {
        let mut guard = self.kept();
        let kept = guard.as_mut().map(|kept| std::mem::take(&mut **kept));
        self.filled.store(false, Ordering::Release);
        drop(guard);
        drop(kept);
    }

    fn kept(&self) -> MutexGuard<'_, Option<Box<InboxFrames>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decides for how many frames to offer room.
///
/// A receive with room for one frame does not tell whether more are waiting. So room for a second
/// frame is offered periodically, at almost no cost. After a second frame has arrived, full batches
/// are offered.
#[derive(Debug)]
pub(super) struct Crowd {
    /// Full-size batches left.
    many: u32,
    /// Receives left until room for a second frame is offered.
    until_try: u32,
}

impl Crowd {
    pub(super) fn new() -> Self {
        Self { many: 0, until_try: TRY_EACH }
    }

    /// Returns the number of frames to offer room for.
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

    /// Returns whether full batches are offered, so that replies may wait to be sent together.
    pub(super) fn is_many(&self) -> bool {
        self.many > 0
    }

    /// Records how many frames arrived when there was room for several.
    pub(super) fn found(&mut self, count: usize) {
        self.many = if count > 1 { TRY_EACH } else { self.many.saturating_sub(1) };
    }
}

/// Room for a second frame is offered once in this many receives, so that single calls are not
/// slowed down. A client with 64 calls in flight then takes 1.0 system call per call on both sides
/// together, instead of 3.3 without batches.
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
