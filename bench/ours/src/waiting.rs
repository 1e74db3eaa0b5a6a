//! Jobs that wait in the server, and a null call beside them.

use std::time::{Duration, Instant};

use bench_harness::{Contender, Laps, Result, memory};
use syshandle::Event;

use crate::client::{Contestant, check};
use crate::interface::HandlesClient;

/// So many jobs, each of which waits for an event of its own.
pub(crate) fn events(contestant: &Contestant, jobs: usize, laps: &mut Laps) -> Result<()> {
    // Made before, so that what is counted is the server's work.
    let events: Vec<Event> = (0..jobs).map(|_| Event::new()).collect::<Result<_, _>>()?;
    let mut events_left = events.iter();
    beside(contestant, jobs, laps, |client| {
        let event = events_left.next().ok_or("there are as many events as jobs")?;
        Ok(client.wait_for(event)?)
    })?;
    // They don't end with their client, which lives on.
    Ok(events.iter().try_for_each(Event::set)?)
}

/// So many jobs, each of which waits for its time.
pub(crate) fn timers(contestant: &Contestant, jobs: usize, laps: &mut Laps) -> Result<()> {
    beside(contestant, jobs, laps, |client| Ok(client.wait_long()?))
}

/// Starts the jobs, notes what each took of the server, and calls beside them.
fn beside(
    contestant: &Contestant,
    jobs: usize,
    laps: &mut Laps,
    mut start_job: impl FnMut(&HandlesClient) -> Result<()>,
) -> Result<()> {
    // What may wait on behalf of one connection has a limit.
    let connections = jobs.div_ceil(JOBS_OF_ONE);
    let clients = (0..connections)
        .map(|_| contestant.connect_handles())
        .collect::<Result<Vec<HandlesClient>>>()?;
    clients.iter().try_for_each(|client| check(client.number(1)?))?;
    let (before, mut times) = (memory(&contestant.pids())?, Vec::with_capacity(jobs));
    for number in 0..jobs {
        let start = Instant::now();
        start_job(&clients[number / JOBS_OF_ONE])?;
        times.push(start.elapsed());
    }
    laps.set_up(times);
    laps.set_memory(before, memory(&contestant.pids())?, jobs);
    while laps.next() {
        check(contestant.numbers().null(1)?)?;
    }
    Ok(())
}

/// Longer than any run: jobs that wait for their time do so until their client ends.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// Fewer than one connection may have.
const JOBS_OF_ONE: usize = 50_000;
