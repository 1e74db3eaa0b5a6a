//! Measures objects to which a client refers by numbers on its connection.

use std::time::Instant;

use bench_harness::{Contender, Laps, Result, memory};

use crate::client::{Contestant, check};
use crate::interface::{HandlesClient, NumbersClient};

/// Calls `count` objects in turn. Records the growth of the server's memory and the time to create
/// each object.
pub(crate) fn call(contestant: &Contestant, count: usize, laps: &mut Laps) -> Result<()> {
    let client = contestant.connect_handles()?;
    check(client.number(1)?)?;
    let before = memory(&contestant.pids())?;
    let (mut times, mut objects) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for _ in 0..count {
        let start = Instant::now();
        objects.push(client.object()?);
        times.push(start.elapsed());
    }
    laps.set_up(times);
    laps.set_memory(before, memory(&contestant.pids())?, count);
    let mut next = 0;
    while laps.next() {
        // The step is a prime number, so every object is called before one is called again.
        next = (next + 7919) % objects.len();
        check(objects[next].null(1)?)?;
    }
    Ok(())
}

/// Creates an object, calls it and releases it in each lap, beside `count` other objects.
pub(crate) fn create(contestant: &Contestant, count: usize, laps: &mut Laps) -> Result<()> {
    let client: HandlesClient = contestant.connect_handles()?;
    let _others: Vec<NumbersClient> =
        (0..count).map(|_| Ok(client.object()?)).collect::<Result<_>>()?;
    while laps.next() {
        check(client.object()?.null(1)?)?;
    }
    Ok(())
}
