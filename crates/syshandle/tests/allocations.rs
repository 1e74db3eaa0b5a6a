//! After some calls, neither a client nor its server allocates memory during a call.

#![cfg(not(windows))]

use std::alloc::System;
use std::fs::File;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use syshandle::{Result, handle::Event, interface};

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

/// Tests both sorts of calls in one test, because the counts would include the allocations of tests
/// that run in parallel.
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

/// Asserts that a call allocates nothing. Client and server are threads of this process, and no
/// other thread runs.
fn assert_allocates_nothing(what: &str, mut call: impl FnMut()) {
    (0..2_000).for_each(|_| call());
    // On a busy machine, a thread may be preempted in the middle of a method. The server then
    // treats the method as a slow one and starts another thread, which allocates. So the test uses
    // the lowest count of several measurements.
    let counts = (0..10).map(|_| {
        let region = Region::new(ALLOCATOR);
        (0..500).for_each(|_| call());
        let change = region.change();
        change.allocations + change.reallocations
    });
    assert_eq!(counts.min(), Some(0), "allocations during 500 {what}");
}
