//! A call allocates nothing, neither at the client nor at the server, once both are warm.

#![cfg(not(windows))]

use std::alloc::System;
use std::fs::File;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use syshandle::{Event, Result, interface};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[interface(iid = "b2a6cf3e-4b0d-4a5c-9d3f-6a7b1c2d3e4f")]
trait Numbers {
    fn next(&self, number: u64) -> Result<u64>;

    fn exchange(&self, file: File, event: Event) -> Result<Event>;
}

struct Counter;

impl Numbers for Counter {
    fn next(&self, number: u64) -> Result<u64> {
        Ok(number + 1)
    }

    fn exchange(&self, _file: File, event: Event) -> Result<Event> {
        Ok(event)
    }
}

/// One test for both sorts of calls: whatever else runs would be counted too.
#[test]
fn neither_a_null_call_nor_one_with_a_few_handles_allocates() {
    let client = NumbersClient::in_process(Counter).unwrap();
    let mut number = 0;
    assert_allocates_nothing("null calls", || {
        number = client.next(number).unwrap();
    });
    let (file, event) = (File::open("/proc/self/status").unwrap(), Event::new().unwrap());
    assert_allocates_nothing("calls with a file and an event", || {
        drop(client.exchange(&file, &event).unwrap());
    });
}

/// Both sides are threads of this process, and the only ones that do anything.
fn assert_allocates_nothing(what: &str, mut call: impl FnMut()) {
    (0..2_000).for_each(|_| call());
    // On a machine with much else to do a thread may be held up in the middle of a method, which is
    // then taken for a slow one, and another thread started: so the best of several counts.
    let counts = (0..10).map(|_| {
        let region = Region::new(ALLOCATOR);
        (0..500).for_each(|_| call());
        let change = region.change();
        change.allocations + change.reallocations
    });
    assert_eq!(counts.min(), Some(0), "allocations during 500 {what}");
}
