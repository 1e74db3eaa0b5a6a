//! Many idle clients.

use std::time::Instant;

use crate::{Laps, Result, memory};

/// Connects `count` clients that each make one call, and records the server memory and the time per
/// client. The clients stay connected until the returned value is dropped.
///
/// # Errors
/// The first error of `connect`.
pub fn idle_clients<C>(
    count: usize,
    servers: &[u32],
    laps: &mut Laps,
    mut connect: impl FnMut() -> Result<C>,
) -> Result<Vec<C>> {
    // The first client isn't counted, because the server allocates some memory only once.
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
