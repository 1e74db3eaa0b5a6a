//! Measures null calls while background tasks wait in the server.

use std::time::{Duration, Instant};

use bench_harness::{Contender, Laps, Result, memory};
use syshandle::handle::Event;

use crate::client::{Contestant, check};
use crate::interface::HandlesClient;

/// Starts `count` background tasks that each wait for their own event.
pub(crate) fn events(contestant: &Contestant, count: usize, laps: &mut Laps) -> Result<()> {
    // The events are created before the measurement, so that only the server's work is counted.
    let events: Vec<Event> = (0..count).map(|_| Event::new()).collect::<Result<_, _>>()?;
    let mut events_left = events.iter();
    beside(contestant, count, laps, |client| {
        let event = events_left.next().ok_or("there are as many events as background tasks")?;
        Ok(client.wait_for(event)?)
    })?;
    // The tasks are ended here, because their client stays connected after this measurement.
    Ok(events.iter().try_for_each(Event::set)?)
}

/// Starts `count` background tasks that each wait for a timer.
pub(crate) fn timers(contestant: &Contestant, count: usize, laps: &mut Laps) -> Result<()> {
    beside(contestant, count, laps, |client| Ok(client.wait_long()?))
}

/// Starts `count` background tasks, and records the growth of the server's memory and the time to
/// start each task. Then makes null calls.
fn beside(
    contestant: &Contestant,
    count: usize,
    laps: &mut Laps,
    mut start_task: impl FnMut(&HandlesClient) -> Result<()>,
) -> Result<()> {
    // The number of waiting background tasks per connection is limited.
    let connections = count.div_ceil(TASKS_PER_CONNECTION);
    let clients = (0..connections)
        .map(|_| contestant.connect_handles())
        .collect::<Result<Vec<HandlesClient>>>()?;
    clients.iter().try_for_each(|client| check(client.number(1)?))?;
    let (before, mut times) = (memory(&contestant.pids())?, Vec::with_capacity(count));
    for number in 0..count {
        let start = Instant::now();
        start_task(&clients[number / TASKS_PER_CONNECTION])?;
        times.push(start.elapsed());
    }
    laps.set_up(times);
    laps.set_memory(before, memory(&contestant.pids())?, count);
    while laps.next() {
        check(contestant.numbers().null(1)?)?;
    }
    Ok(())
}

/// Longer than any run. Background tasks that wait for a timer end with their client.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// Number of background tasks per connection, below the limit of a connection.
const TASKS_PER_CONNECTION: usize = 50_000;
