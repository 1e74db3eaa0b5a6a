//! Measures the time between a call's deadline and its end: `cargo xtask deadlines`.
//!
//! On an idle machine, each call ends at most 10 ms after its deadline, for all timeouts.

#![expect(clippy::print_stdout, reason = "a measurement prints its results")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use syshandle::{ErrorKind, Result, handle::ManualEvent, interface};

#[interface(iid = "5f0c3a1d-2f0e-4a55-9a0e-6d1b0c7e9d21")]
trait Silent {
    /// Returns when the event is set.
    fn block(&self, until: ManualEvent) -> Result<()>;
}

struct Waits;

impl Silent for Waits {
    fn block(&self, until: ManualEvent) -> Result<()> {
        until.wait()?;
        Ok(())
    }
}

const TIMEOUTS_MS: [u64; 8] = [1, 20, 99, 150, 300, 1_000, 5_000, 20_000];

const LATE_MAX: Duration = Duration::from_millis(10);

fn main() -> Result<ExitCode> {
    let until = ManualEvent::new()?;
    let mut latest = Duration::ZERO;
    for timeout in TIMEOUTS_MS.map(Duration::from_millis) {
        let client = SilentClient::in_process(Waits)?.with_timeout(timeout);
        let start = Instant::now();
        let result = client.block(&until);
        let took = start.elapsed();
        if !result.is_err_and(|error| error.kind() == ErrorKind::TimedOut) || took < timeout {
            println!("a call with {timeout:?} did not time out: {took:?}");
            return Ok(ExitCode::FAILURE);
        }
        println!("timeout {timeout:>8?}: {:?} late", took - timeout);
        latest = latest.max(took - timeout);
    }
    until.set()?;
    println!("at most {latest:?} late; the limit is {LATE_MAX:?}");
    Ok(if latest <= LATE_MAX { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
