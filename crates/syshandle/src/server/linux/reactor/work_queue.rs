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
