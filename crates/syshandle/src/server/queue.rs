//! Tasks that wait for a worker thread.

use std::collections::VecDeque;
use std::sync::Arc;

use super::task::Task;
use crate::quota::Quota;

/// The waiting tasks, grouped by client. Clients take turns. The tasks of one client start in
/// order.
///
/// All tasks of a client wait for the same quota, so only the first task of each client is
/// examined. The cost of a search does not grow with the tasks of a client that is at its limit.
#[derive(Debug, Default)]
pub(super) struct TaskQueue(VecDeque<(Arc<Quota>, VecDeque<Task>)>);

impl TaskQueue {
    pub(super) fn push(&mut self, task: Task) {
        let quota = task.quota();
        match self.0.iter_mut().find(|(client, _)| Arc::ptr_eq(client, quota)) {
            Some((_, tasks)) => tasks.push_back(task),
            None => self.0.push_back((quota.clone(), VecDeque::from([task]))),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether any client with waiting tasks may run one more method.
    pub(super) fn may_start(&self) -> bool {
        self.0.iter().any(|(client, _)| client.may_run())
    }

    /// Takes the first task that may start, and counts it among its client's running methods.
    pub(super) fn start_first(&mut self) -> Option<Task> {
        let starts =
            |(_, tasks): &mut (_, VecDeque<Task>)| tasks.front_mut().is_some_and(Task::start);
        let place = self.0.iter_mut().position(starts)?;
        let (client, mut tasks) = self.0.remove(place)?;
        let task = tasks.pop_front();
        if !tasks.is_empty() {
            self.0.push_back((client, tasks));
        }
        task
    }

    /// Takes all tasks.
    pub(super) fn take_all(&mut self) -> Vec<Task> {
        self.0.drain(..).flat_map(|(_, tasks)| tasks).collect()
    }
}
