//! Many clients that are connected and do nothing.

use std::time::Instant;

use crate::{Laps, Result, memory};

/// Has so many clients connect and call once, and notes what of the servers' memory and of time
/// each took. They stay until the value that is returned is dropped.
///
/// # Errors
/// The first one that `connect` has.
pub fn idle_clients<C>(
    count: usize,
    servers: &[u32],
    laps: &mut Laps,
    mut connect: impl FnMut() -> Result<C>,
) -> Result<Vec<C>> {
    // What the server makes once, for the first one, isn't theirs.
    drop(connect()?);
    let (before, mut times) = (memory(servers)?, Vec::with_capacity(count));
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        clients.push(connect()?);
        times.push(start.elapsed());
    }
    laps.set_up(times);
    laps.set_memory(before, memory(servers)?, count);
    Ok(clients)
}
