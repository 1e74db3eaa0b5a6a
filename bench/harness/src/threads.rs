//! Runs work on several threads at once.

use std::sync::Barrier;

use crate::{Laps, Result};

/// Runs each caller on its own thread. All start at the same time.
///
/// # Errors
/// The first error of a caller.
pub fn in_threads<C: Send>(
    callers: &mut [C],
    laps: &mut Laps,
    call: impl Fn(&mut C, &mut Laps) -> Result<()> + Sync,
) -> Result<()> {
    let ready = Barrier::new(callers.len() + 1);
    let (ready, call) = (&ready, &call);
    let forks: Vec<Laps> = callers.iter().map(|_| laps.fork()).collect();
    let results = std::thread::scope(|scope| {
        let threads: Vec<_> = callers
            .iter_mut()
            .zip(forks)
            .map(|(caller, mut fork)| {
                scope.spawn(move || {
                    // From here on, all threads are ready and the time counts.
                    ready.wait();
                    ready.wait();
                    call(caller, &mut fork).map(|()| fork)
                })
            })
            .collect();
        ready.wait();
        laps.start();
        ready.wait();
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        laps.finish();
        results
    });
    let done = results.into_iter().map(|result| result.map_err(|_| "a calling thread panicked")?);
    laps.merge(done.collect::<Result<Vec<_>>>()?);
    Ok(())
}
