//! A call allocates nothing, neither at the client nor at the server, once both are warm.

#![cfg(not(windows))]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use syshandle::{Result, interface};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[interface(iid = "b2a6cf3e-4b0d-4a5c-9d3f-6a7b1c2d3e4f")]
trait Numbers {
    fn next(&self, number: u64) -> Result<u64>;
}

struct Counter;

impl Numbers for Counter {
    fn next(&self, number: u64) -> Result<u64> {
        Ok(number + 1)
    }
}

/// Both sides are threads of this process, and the only ones that do anything.
#[test]
fn a_null_call_allocates_nothing() {
    let client = NumbersClient::in_process(Counter).unwrap();
    for number in 0..2_000 {
        assert_eq!(client.next(number).unwrap(), number + 1);
    }
    // On a machine with much else to do a thread may be held up in the middle of a method, which is
    // then taken for a slow one, and another thread started: so the best of several counts.
    let counts = (0..10).map(|_| {
        let region = Region::new(ALLOCATOR);
        for number in 0..500 {
            assert_eq!(client.next(number).unwrap(), number + 1);
        }
        let change = region.change();
        change.allocations + change.reallocations
    });
    assert_eq!(counts.min(), Some(0), "allocations during 500 calls");
}
