//! Numbers of objects that a client has received and gives back.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use syshandle_wire::ReleasedObjects;

use crate::slots::KeptHandle;
use crate::sync::Mutex;
use crate::sync::atomic::AtomicUsize;
use crate::untyped_stream::UnclaimedStream;

/// The numbers that a client gives back with the next frame, once for each time that it received
/// them.
#[derive(Debug, Default)]
pub(super) struct ReleaseQueue {
    numbers: Mutex<BTreeMap<u32, u32>>,
    len: AtomicUsize,
}

/// The number of an object that a message has brought. Dropping it gives the number back.
#[derive(Debug)]
pub(crate) struct ReceivedNumber {
    number: u32,
    queue: Arc<ReleaseQueue>,
}

/// An entry of a received message, other than a handle of its frame.
#[derive(Debug)]
pub(crate) enum ReceivedEntry {
    Number(ReceivedNumber),
    /// A registered handle that this client keeps.
    Kept(Arc<KeptHandle>),
    Stream(UnclaimedStream),
    /// A slot without a handle.
    Missing,
}

impl ReleaseQueue {
    /// Returns whether there is nothing to give back.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    fn push(&self, number: u32, count: u32) {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let total = numbers.entry(number).or_default();
        *total = total.saturating_add(count);
        self.len.store(numbers.len(), Ordering::Relaxed);
    }

    /// Takes as many numbers as fit in a frame, each with how often it is given back.
    pub(super) fn take(&self) -> Vec<(u32, u32)> {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::with_capacity(numbers.len().min(ReleasedObjects::MAX));
        while taken.len() < ReleasedObjects::MAX {
            let Some(first) = numbers.pop_first() else { break };
            taken.push(first);
        }
        self.len.store(numbers.len(), Ordering::Relaxed);
        taken
    }

    /// Puts back numbers whose frame could not be sent.
    pub(super) fn put_back(&self, taken: &[(u32, u32)]) {
        taken.iter().for_each(|(number, count)| self.push(*number, *count));
    }

    /// Takes over a number that a message has brought.
    pub(super) fn received(self: &Arc<Self>, number: u32) -> ReceivedNumber {
        ReceivedNumber { number, queue: self.clone() }
    }
}

impl ReceivedNumber {
    pub(super) fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for ReceivedNumber {
    fn drop(&mut self) {
        self.queue.push(self.number, 1);
    }
}
