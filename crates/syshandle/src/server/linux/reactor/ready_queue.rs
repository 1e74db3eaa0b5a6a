//! The ready sources of an event loop, in the order in which they are handled.
//!
//! Clients take turns, not connections: a client with 300 ready connections delays another client
//! as much as a client with one. The kernel reports sources in their own order, so the loop asks
//! for all ready sources before it selects the next one. It asks again after a bounded time, which
//! is a round, because another client may have called in the meantime.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::time::{Duration, Instant};

use syshandle_os::PollEvent;

use super::key_hasher::KeyHasher;
use crate::quota::Quota;

/// Identifies the client that causes the events of a source. All sources of the server itself have
/// the same owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SourceOwner(usize);

impl SourceOwner {
    /// Returns the owner of the sources that belong to no client.
    pub(super) const SERVER: Self = Self(0);

    /// Returns the client with this quota.
    pub(super) fn of(quota: &Arc<Quota>) -> Self {
        // If the address is used again after the quota is gone, two clients share a turn.
        Self(Arc::as_ptr(quota) as usize)
    }
}

/// Ready sources that are not handled yet. A thread that takes the loop over continues with them.
///
/// Most polls report one source, which `polled` keeps. The other fields are for several sources.
#[derive(Debug)]
pub(super) struct ReadyQueue {
    /// The result of the last system call.
    pub(super) polled: Vec<PollEvent>,
    events: HashMap<u64, QueuedEvent, BuildHasherDefault<KeyHasher>>,
    /// The keys of each owner's ready sources. The first owner has the next turn.
    turns: VecDeque<(SourceOwner, VecDeque<u64>)>,
    /// The number of the present look.
    look: u64,
    /// The end of the present round, unless only one source was ready at its start.
    round_end: Option<Instant>,
    /// Whether a source was handled in this round. At least one is, however long the look took.
    has_begun: bool,
}

#[derive(Debug)]
struct QueuedEvent {
    event: PollEvent,
    /// The last look that reported the source.
    look: u64,
}

impl ReadyQueue {
    pub(super) fn new() -> Self {
        Self {
            polled: Vec::with_capacity(POLLED_AT_ONCE),
            events: HashMap::default(),
            turns: VecDeque::new(),
            look: 0,
            round_end: None,
            has_begun: false,
        }
    }

    /// Returns the number of ready sources.
    pub(super) fn len(&self) -> usize {
        self.polled.len() + self.events.len()
    }

    /// Takes the next source to be handled. Returns `None` if there is none, or the round is over.
    #[inline]
    pub(super) fn next(&mut self, now: impl FnOnce() -> Instant) -> Option<PollEvent> {
        match self.turns.is_empty() {
            true => self.polled.pop(),
            false => self.next_turn(now),
        }
    }

    fn next_turn(&mut self, now: impl FnOnce() -> Instant) -> Option<PollEvent> {
        let has_begun = std::mem::replace(&mut self.has_begun, true);
        if has_begun && self.round_end.is_some_and(|end| now() >= end) {
            return None;
        }
        let (owner, mut keys) = self.turns.pop_front()?;
        let key = keys.pop_front()?;
        if !keys.is_empty() {
            self.turns.push_back((owner, keys));
        }
        self.events.remove(&key).map(|queued| queued.event)
    }

    /// Starts to ask for ready sources.
    pub(super) fn start_look(&mut self) {
        self.look += 1;
    }

    /// Returns whether at most one source is ready. It stays in `polled`.
    #[inline]
    pub(super) fn is_single(&self) -> bool {
        self.polled.len() <= 1 && self.events.is_empty()
    }

    /// Queues the sources of the last system call, each at its owner. Returns whether more sources
    /// may be ready: the system call reported as many as it can, and none of them twice in this
    /// look.
    pub(super) fn queue_polled(&mut self, owner: impl Fn(u64) -> SourceOwner) -> bool {
        let mut may_be_more = self.polled.len() >= POLLED_AT_ONCE;
        let mut polled = std::mem::take(&mut self.polled);
        for event in polled.drain(..) {
            may_be_more &= self.push(event, &owner);
        }
        self.polled = polled;
        may_be_more
    }

    /// Queues a source. Returns `false` if this look has reported it before.
    fn push(&mut self, event: PollEvent, owner: impl Fn(u64) -> SourceOwner) -> bool {
        match self.events.entry(event.key) {
            Entry::Occupied(mut entry) => {
                let queued = entry.get_mut();
                queued.event.readable |= event.readable;
                queued.event.writable |= event.writable;
                std::mem::replace(&mut queued.look, self.look) != self.look
            }
            Entry::Vacant(entry) => {
                entry.insert(QueuedEvent { event, look: self.look });
                let owner = owner(event.key);
                match self.turns.iter_mut().find(|(other, _)| *other == owner) {
                    Some((_, keys)) => keys.push_back(event.key),
                    None => self.turns.push_back((owner, VecDeque::from([event.key]))),
                }
                true
            }
        }
    }

    /// Starts a round with the queued sources.
    pub(super) fn start_round(&mut self, now: impl FnOnce() -> Instant) {
        self.has_begun = false;
        let count = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        self.round_end = (count > 1).then(|| now() + ROUND + ROUND_PER_SOURCE * count);
    }
}

/// Maximum number of sources that one system call reports.
pub(super) const POLLED_AT_ONCE: usize = 32;

/// Time after which the loop asks again for ready sources, although some are queued. Asking costs
/// as much as a small part of one call.
const ROUND: Duration = Duration::from_micros(100);

/// Addition to [`ROUND`] for each ready source. The kernel needs about a tenth of this to report a
/// source.
const ROUND_PER_SOURCE: Duration = Duration::from_micros(1);

#[cfg(test)]
mod tests {
    use super::*;

    const ATTACKER: SourceOwner = SourceOwner(1);
    const HONEST: SourceOwner = SourceOwner(2);

    /// Keys from 1000 on belong to the honest client.
    fn owner(key: u64) -> SourceOwner {
        if key < 1000 { ATTACKER } else { HONEST }
    }

    fn look(queue: &mut ReadyQueue, keys: impl IntoIterator<Item = u64>) -> bool {
        queue.polled.extend(keys.into_iter().map(PollEvent::to_read));
        queue.queue_polled(owner)
    }

    fn next(queue: &mut ReadyQueue, now: Instant) -> Option<u64> {
        queue.next(|| now).map(|event| event.key)
    }

    #[test]
    fn a_client_with_one_ready_connection_has_the_second_turn_among_three_hundred() {
        let (mut queue, now) = (ReadyQueue::new(), Instant::now());
        queue.start_look();
        for first in (0..300).step_by(POLLED_AT_ONCE) {
            let more = look(&mut queue, first..(first + POLLED_AT_ONCE as u64).min(300));
            assert_eq!(more, first + POLLED_AT_ONCE as u64 <= 300);
        }
        look(&mut queue, [1000]);
        queue.start_round(|| now);
        assert_eq!([(); 3].map(|()| next(&mut queue, now)), [Some(0), Some(1000), Some(1)]);
        assert_eq!(queue.len(), 298);
    }

    #[test]
    fn the_connections_of_one_client_take_turns_in_the_order_in_which_they_were_reported() {
        let (mut queue, now) = (ReadyQueue::new(), Instant::now());
        queue.start_look();
        look(&mut queue, [1, 2, 3]);
        assert_eq!(next(&mut queue, now), Some(1));
        // The first connection is ready again, and the others still are.
        queue.start_look();
        assert!(!look(&mut queue, [1, 2, 3]));
        assert_eq!([(); 4].map(|()| next(&mut queue, now)), [Some(2), Some(3), Some(1), None]);
    }

    #[test]
    fn a_look_ends_when_the_kernel_reports_a_source_for_the_second_time() {
        let mut queue = ReadyQueue::new();
        queue.start_look();
        let all = POLLED_AT_ONCE as u64;
        assert!(look(&mut queue, 0..all));
        assert!(!look(&mut queue, 1..=all));
        queue.start_look();
        assert!(look(&mut queue, 0..all), "the queued sources of an earlier look do not end it");
    }

    #[test]
    fn a_round_ends_after_a_bounded_time_and_leaves_the_other_sources_queued() {
        let (mut queue, now) = (ReadyQueue::new(), Instant::now());
        queue.start_look();
        look(&mut queue, [1, 2, 3]);
        queue.start_round(|| now);
        let later = now + ROUND + 3 * ROUND_PER_SOURCE;
        assert_eq!(next(&mut queue, later), Some(1), "each round handles a source");
        assert_eq!((next(&mut queue, later), queue.len()), (None, 2));
        queue.start_round(|| later);
        assert_eq!([(); 2].map(|()| next(&mut queue, later)), [Some(2), Some(3)]);
    }

    #[test]
    fn a_source_that_is_readable_and_writable_in_two_looks_is_handled_once_for_both() {
        let (mut queue, now) = (ReadyQueue::new(), Instant::now());
        queue.start_look();
        look(&mut queue, [1, 2]);
        let writable = PollEvent { key: 2, readable: false, writable: true };
        queue.start_look();
        queue.polled.push(writable);
        queue.queue_polled(owner);
        next(&mut queue, now);
        let second = queue.next(|| now).unwrap();
        assert_eq!((second.key, second.readable, second.writable), (2, true, true));
        assert_eq!(queue.len(), 0);
    }
}
