//! Measures null calls while jobs wait in the server.

use std::time::{Duration, Instant};

use bench_harness::{Contender, Laps, Result, memory};
use syshandle::handle::Event;

use crate::client::{Contestant, check};
use crate::interface::HandlesClient;

/// Starts `jobs` jobs that each wait for their own event.
pub(crate) fn events(contestant: &Contestant, jobs: usize, laps: &mut Laps) -> Result<()> {
    // The events are created before the measurement, so that only the server's work is counted.
    let events: Vec<Event> = (0..jobs).map(|_| Event::new()).collect::<Result<_, _>>()?;
    let mut events_left = events.iter();
    beside(contestant, jobs, laps, |client| {
        let event = events_left.next().ok_or("there are as many events as jobs")?;
        Ok(client.wait_for(event)?)
    })?;
    // The jobs must be ended here, because the client that they belong to lives on.
    Ok(events.iter().try_for_each(Event::set)?)
}

/// Starts `jobs` jobs that each wait for a timer.
pub(crate) fn timers(contestant: &Contestant, jobs: usize, laps: &mut Laps) -> Result<()> {
    beside(contestant, jobs, laps, |client| Ok(client.wait_long()?))
}

/// Starts the jobs, records the server's memory and the time per job, and makes null calls.
fn beside(
    contestant: &Contestant,
    jobs: usize,
    laps: &mut Laps,
    mut start_job: impl FnMut(&HandlesClient) -> Result<()>,
) -> Result<()> {
    // The number of waiting jobs per connection is limited.
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

/// Longer than any run. Jobs that wait for a timer end with their client.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// Less than the limit of one connection.
const JOBS_OF_ONE: usize = 50_000;
