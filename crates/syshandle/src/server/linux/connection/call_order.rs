//! The order of calls: a call starts after each earlier one-way call of the same object has ended.
//!
//! A call that has to wait is kept here, so that no thread waits for it.

use std::collections::VecDeque;

/// The objects with a one-way call that has not ended, and the calls that wait for it. `T` is a
/// call.
#[derive(Debug)]
pub(super) struct CallOrder<T>(Vec<ObjectOrder<T>>);

#[derive(Debug)]
struct ObjectOrder<T> {
    object: u32,
    /// The number of the one-way call that has not ended.
    running: u32,
    /// Later calls, each with its number if it is a one-way call.
    waiting: VecDeque<(Option<u32>, T)>,
}

impl<T> Default for CallOrder<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> CallOrder<T> {
    /// Returns whether a call of this object has to wait.
    #[inline]
    pub(super) fn must_wait(&self, object: u32) -> bool {
        self.0.iter().any(|order| order.object == object)
    }

    /// Adds a call that has to wait. `one_way` is its number if it is a one-way call.
    pub(super) fn wait(&mut self, object: u32, one_way: Option<u32>, call: T) {
        if let Some(order) = self.0.iter_mut().find(|order| order.object == object) {
            order.waiting.push_back((one_way, call));
        }
    }

    /// Records that a one-way call starts, which did not have to wait.
    pub(super) fn start(&mut self, object: u32, number: u32) {
        self.0.push(ObjectOrder { object, running: number, waiting: VecDeque::new() });
    }

    /// Records that a one-way call has ended. Returns the calls that may start now: all up to the
    /// next one-way call.
    pub(super) fn end(&mut self, object: u32, number: u32) -> Vec<T> {
        let is_it = |order: &ObjectOrder<T>| (order.object, order.running) == (object, number);
        let mut next = Vec::new();
        // A call that was refused before it could wait is not found.
        let Some(place) = self.0.iter().position(is_it) else { return next };
        let order = &mut self.0[place];
        while let Some((one_way, call)) = order.waiting.pop_front() {
            next.push(call);
            if let Some(number) = one_way {
                order.running = number;
                return next;
            }
        }
        self.0.swap_remove(place);
        next
    }

    /// Takes all calls that wait, because the connection has ended.
    pub(super) fn take_waiting(&mut self) -> Vec<T> {
        self.0.drain(..).flat_map(|order| order.waiting).map(|(_, call)| call).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_up_to_the_next_one_way_call_start_when_one_has_ended() {
        let mut order = CallOrder::default();
        assert!(!order.must_wait(7));
        order.start(7, 1);
        assert!(order.must_wait(7) && !order.must_wait(8));
        for (one_way, call) in [(None, "a"), (None, "b"), (Some(2), "c"), (None, "d")] {
            order.wait(7, one_way, call);
        }
        assert_eq!(order.end(7, 2), [""; 0], "this call waits");
        assert_eq!(order.end(8, 1), [""; 0]);
        assert_eq!(order.end(7, 1), ["a", "b", "c"]);
        assert!(order.must_wait(7));
        assert_eq!(order.end(7, 1), [""; 0], "it has ended before");
        assert_eq!(order.end(7, 2), ["d"]);
        assert!(!order.must_wait(7));
    }

    #[test]
    fn objects_do_not_wait_for_each_other() {
        let mut order = CallOrder::default();
        (1..4).for_each(|object| order.start(object, object));
        order.wait(2, Some(4), "a");
        assert_eq!(order.end(2, 2), ["a"]);
        assert_eq!(order.end(3, 3), [""; 0]);
        order.wait(2, None, "b");
        assert_eq!(order.take_waiting(), ["b"]);
        assert!(!order.must_wait(1) && !order.must_wait(2));
    }
}
