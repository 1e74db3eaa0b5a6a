//! Measures how long the methods of an interface take, across all clients of the server.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use syshandle_types::Guid;
use syshandle_types::describe::Interface;

use crate::sync::judged_by;

/// The methods of every interface that the server has served so far.
#[derive(Default)]
pub(crate) struct MethodTable(Mutex<Vec<(Guid, Arc<MethodTimes>)>>);

impl MethodTable {
    /// Returns the methods of an interface.
    pub(crate) fn of(&self, interface: &Interface) -> Arc<MethodTimes> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, times)) = known.iter().find(|(iid, _)| *iid == interface.iid) {
            return times.clone();
        }
        let times = Arc::new(MethodTimes::new(interface, known.len() as u32));
        known.push((interface.iid, times.clone()));
        times
    }

    /// Records that a method blocked its event loop or dedicated thread for too long.
    pub(crate) fn mark_slow(&self, method_id: MethodId) {
        let Some((interface, method)) = method_id.split() else { return };
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = known.get(interface).map(|(_, times)| times.clone());
        drop(known);
        if let Some(times) = times {
            times.learn(method, SLOW);
        }
    }
}

/// Identifies a method among all interfaces of a [`MethodTable`], as a number that fits in an
/// atomic. The default is no method.
#[derive(Clone, Copy, Default)]
pub(crate) struct MethodId(pub(crate) u64);

impl MethodId {
    fn split(self) -> Option<(usize, u32)> {
        let interface = (self.0 >> 32).checked_sub(1)?;
        Some((interface as usize, self.0 as u32))
    }
}

/// The measured speed of the methods of one interface.
///
/// A slow method runs on a worker thread from its start, beside the event loop that received the
/// call. The reply of a method that was quick may be batched with other replies.
pub(crate) struct MethodTimes {
    /// Index of the interface in the table.
    place: u32,
    /// For each method: [`QUICK_BIT`], and the number of further calls that run beside the event
    /// loop.
    methods: Box<[AtomicU8]>,
}

impl MethodTimes {
    fn new(interface: &Interface, place: u32) -> Self {
        let first = |blocking| AtomicU8::new(if blocking { ALWAYS_BESIDE } else { 0 });
        let methods = interface.methods.iter().map(|method| first(method.blocking)).collect();
        Self { place, methods }
    }

    /// Returns the number of a method in the whole table.
    #[inline]
    pub(crate) fn method_id(&self, method: u32) -> MethodId {
        MethodId(u64::from(self.place + 1) << 32 | u64::from(method))
    }

    /// Returns whether a method has to run beside the event loop.
    #[inline]
    pub(crate) fn runs_beside(&self, method: u32) -> bool {
        self.get(method) & BESIDE_BITS != 0
    }

    /// Returns whether a method was quick the last time; `false` if it has not run yet.
    #[inline]
    pub(crate) fn is_quick(&self, method: u32) -> bool {
        self.get(method) & QUICK_BIT != 0
    }

    /// Records how long a method has run.
    #[inline]
    pub(crate) fn learn(&self, method: u32, took: Duration) {
        let old = self.get(method);
        if next(old, took) != old {
            self.change(method, took);
        }
    }

    #[cold]
    fn change(&self, method: u32, took: Duration) {
        if let Some(entry) = self.methods.get(method as usize) {
            let change = |old| Some(next(old, took));
            let _ = entry.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
        }
    }

    fn get(&self, method: u32) -> u8 {
        self.methods.get(method as usize).map_or(0, |entry| entry.load(Ordering::Relaxed))
    }
}

/// Returns the entry of a method after one more run.
fn next(old: u8, took: Duration) -> u8 {
    let beside = match old & BESIDE_BITS {
        ALWAYS_BESIDE => ALWAYS_BESIDE,
        _ if took >= SLOW => BESIDE_AFTER_SLOW,
        count => count.saturating_sub(1),
    };
    beside | if took < QUICK { QUICK_BIT } else { 0 }
}

const QUICK_BIT: u8 = 0x80;
const BESIDE_BITS: u8 = 0x7f;

/// The count for a method that its interface declares as blocking.
const ALWAYS_BESIDE: u8 = 0x7f;

/// Number of quick runs that a method stays beside the event loop after it was slow. Otherwise a
/// method that blocks occasionally would block a loop each time.
const BESIDE_AFTER_SLOW: u8 = 64;

/// Run time from which a method is worth the cost of waking another thread.
const SLOW: Duration = judged_by(Duration::from_millis(1));

/// Run time below which the reply of a method may be batched. This is a multiple of the cost of
/// sending a reply.
const QUICK: Duration = judged_by(Duration::from_micros(20));

#[cfg(test)]
mod tests {
    use syshandle_types::describe::{Method, Parameter, Type};

    use super::*;

    const fn method(blocking: bool) -> Method {
        let result = Parameter::new("", Type::Tuple(&[]), None);
        let (parameters, error, differs) = (&[], None, None);
        let one_way = false;
        Method { name: "m", docs: "", parameters, result, error, blocking, one_way, differs }
    }

    static METHODS: [Method; 100] = {
        let mut methods = [method(false); 100];
        methods[99] = method(true);
        methods
    };

    fn interface(iid: u8) -> Interface {
        let iid = Guid::from_bytes([iid; 16]);
        Interface { iid, name: "I", docs: "", is_private: false, methods: &METHODS }
    }

    #[test]
    fn any_method_that_blocked_runs_on_a_worker_until_it_was_quick_several_times() {
        let times = MethodTable::default().of(&interface(1));
        let known = |method| (times.runs_beside(method), times.is_quick(method));
        for number in [3, 64, 98] {
            assert_eq!(known(number), (false, false));
            times.learn(number, Duration::from_micros(5));
            assert_eq!(known(number), (false, true));
            times.learn(number, Duration::from_micros(500));
            assert_eq!(known(number), (false, false));
            times.learn(number, SLOW);
            for _ in 0..BESIDE_AFTER_SLOW {
                assert!(times.runs_beside(number));
                times.learn(number, Duration::from_micros(5));
            }
            assert_eq!(known(number), (false, true));
        }
    }

    #[test]
    fn a_method_that_is_declared_as_blocking_always_runs_beside_its_loop() {
        let times = MethodTable::default().of(&interface(1));
        (0..200).for_each(|_| times.learn(99, Duration::from_micros(5)));
        assert!(times.runs_beside(99) && times.is_quick(99));
        // The interface has no method with this number.
        times.learn(100, SLOW);
        assert!(!times.runs_beside(100));
    }

    #[test]
    fn all_clients_of_an_interface_share_what_is_learned() {
        let table = MethodTable::default();
        let (first, other) = (table.of(&interface(1)), table.of(&interface(2)));
        table.mark_slow(MethodId::default());
        table.mark_slow(table.of(&interface(2)).method_id(7));
        assert!(other.runs_beside(7) && !first.runs_beside(7));
    }
}
