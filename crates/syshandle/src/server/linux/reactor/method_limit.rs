//! The limit of methods that run at once.

use std::sync::atomic::Ordering;

use crate::sync::atomic::AtomicUsize;

/// A counting semaphore: one permit for each method that may still start.
#[derive(Debug)]
pub(crate) struct MethodLimit {
    free: AtomicUsize,
}

/// A running method. Dropping it lets another method start.
#[derive(Debug)]
pub(crate) struct MethodPermit<'l>(&'l MethodLimit);

impl MethodLimit {
    pub(crate) fn new(methods_max: usize) -> Self {
        Self { free: AtomicUsize::new(methods_max) }
    }

    /// Takes a permit. Returns `None` if as many methods run as the limit allows.
    #[inline]
    pub(crate) fn try_acquire(&self) -> Option<MethodPermit<'_>> {
        let one_less = |free: usize| free.checked_sub(1);
        let taken = self.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        taken.is_ok().then_some(MethodPermit(self))
    }

    /// Returns whether one more method may start.
    pub(crate) fn has_room(&self) -> bool {
        self.free.load(Ordering::SeqCst) > 0
    }
}

impl Drop for MethodPermit<'_> {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::run_once;

    #[test]
    fn permits_are_as_many_as_the_limit_and_return_when_dropped() {
        run_once(|| {
            let limit = MethodLimit::new(2);
            let (first, second) = (limit.try_acquire(), limit.try_acquire());
            assert!(first.is_some() && second.is_some() && !limit.has_room());
            assert!(limit.try_acquire().is_none());
            drop(first);
            assert!(limit.has_room() && limit.try_acquire().is_some());
        });
    }
}
