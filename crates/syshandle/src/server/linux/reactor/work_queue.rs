//! Work items that wait for a worker thread.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::quota::Quota;

/// An item that belongs to a client.
pub(super) trait QueuedItem {
    /// Returns the quota of the client that causes the item.
    fn quota(&self) -> &Arc<Quota>;

    /// Counts the item among the running methods of its client. Returns `false` if the client has
    /// too many.
    fn start(&mut self) -> bool;
}

/// The waiting work items, grouped by client. Clients take turns. The work items of one client
/// start in order.
///
/// All work items of a client wait for the same quota, so only the first work item of each client
/// is examined. The cost of a search does not grow with the work items of a client that is at its
/// limit.
pub(super) struct WorkQueue<T>(VecDeque<(Arc<Quota>, VecDeque<T>)>);

impl<T> Default for WorkQueue<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: QueuedItem> WorkQueue<T> {
    pub(super) fn push(&mut self, item: T) {
        let quota = item.quota();
        match self.0.iter_mut().find(|(client, _)| Arc::ptr_eq(client, quota)) {
            Some((_, items)) => items.push_back(item),
            None => self.0.push_back((quota.clone(), VecDeque::from([item]))),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether any client with waiting work items may run one more method.
    pub(super) fn may_start(&self) -> bool {
        self.0.iter().any(|(client, _)| client.may_run())
    }

    /// Takes the first work item that may start, and counts it among its client's running methods.
    pub(super) fn start_first(&mut self) -> Option<T> {
        let starts = |(_, items): &mut (_, VecDeque<T>)| items.front_mut().is_some_and(T::start);
        let place = self.0.iter_mut().position(starts)?;
        self.take_at(place)
    }

    /// Takes the next work item of the client that has the turn.
    pub(super) fn take_first(&mut self) -> Option<T> {
        self.take_at(0)
    }

    fn take_at(&mut self, place: usize) -> Option<T> {
        let (client, mut items) = self.0.remove(place)?;
        let item = items.pop_front();
        if !items.is_empty() {
            self.0.push_back((client, items));
        }
        item
    }

    /// Takes all work items.
    pub(super) fn take_all(&mut self) -> Vec<T> {
        self.0.drain(..).flat_map(|(_, items)| items).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::MAX;

    struct Item(Arc<Quota>, u32);

    impl QueuedItem for Item {
        fn quota(&self) -> &Arc<Quota> {
            &self.0
        }

        fn start(&mut self) -> bool {
            true
        }
    }

    #[test]
    fn a_client_with_one_item_has_the_second_turn_after_a_client_with_many() {
        crate::sync::run_once(|| {
            let [many, one] = [(); 2].map(|()| Quota::with_in_flight(MAX));
            let mut queue = WorkQueue::default();
            (0..100).for_each(|number| queue.push(Item(many.clone(), number)));
            queue.push(Item(one, 1000));
            let first: Vec<_> =
                (0..3).filter_map(|_| queue.take_first()).map(|item| item.1).collect();
            assert_eq!(first, [0, 1000, 1]);
        });
    }
}
