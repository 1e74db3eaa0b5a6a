//! Opens and closes connections as fast as possible.

use std::io;
use std::time::{Duration, Instant};

use crate::line::Line;
use crate::scenario::{Act, Scenario, Tally, Target};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "churn",
    what: "connections that come and go, from several threads",
    accepted: true,
    run,
};

const THREADS: usize = 4;
const TIME: Duration = Duration::from_secs(2);

fn run(target: &Target, acts: &mut Vec<Act>) -> io::Result<()> {
    let end = Instant::now() + TIME;
    let counts: Vec<io::Result<u32>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(move || {
                    let mut count = 0;
                    while Instant::now() < end {
                        drop(Line::connect(&target.address)?);
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        let failed = || Err(io::Error::other("a thread of the scenario failed"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| failed())).collect()
    });
    let mut sum = 0;
    for count in counts {
        sum += count?;
    }
    let mut tally = Tally::new(format!("{THREADS} threads connect and leave for {TIME:?}"));
    tally.add_text(format!("{sum} let in"), true);
    acts.push(tally.act());
    Ok(())
}
