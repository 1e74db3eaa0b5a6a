//! A client that follows the rules and measures the latency of its calls.

use std::io;
use std::time::{Duration, Instant};

use syshandle_wire::{Fault, FrameKind, Header};

use crate::raw_connection::{DOOR, NO_METHOD, RESPONSE_TIMEOUT, RawConnection, Response};
use crate::resources::ProcessorWaits;
use crate::scenario::TargetServer;

/// Latency from which the client determines how long threads have waited for a CPU.
const SLOW: Duration = Duration::from_micros(200);

/// Number of calls after which the CPU wait times are read again, even if no call was slow.
const WAITS_READ_EVERY: u32 = 16;

/// A client that follows the rules. It makes one call after the other, and occasionally connects
/// another client.
#[derive(Debug)]
pub struct HonestClient {
    target: TargetServer,
    connection: RawConnection,
    calls: u32,
    /// Process ID of the server.
    server: u32,
    /// CPU wait times when they were last read, which is at every slow call and every few calls.
    waits: ProcessorWaits,
}

/// The latencies that an honest client has measured, excluding the time that its thread and the
/// server's threads waited for a CPU.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    calls: Vec<Duration>,
    first_calls: Vec<Duration>,
}

impl HonestClient {
    /// Connects a client. Also returns the process ID of the server.
    ///
    /// # Errors
    /// Returns an error if the server doesn't serve the client.
    pub fn new(target: TargetServer) -> io::Result<(Self, u32)> {
        let (connection, pid) = target.open_without_retry()?;
        let pid = pid.ok_or_else(|| io::Error::other("the greeting has no sender"))?;
        let waits = ProcessorWaits::of_process(pid);
        Ok((Self { target, connection, calls: 0, server: pid, waits }, pid))
    }

    /// Makes a call and records its latency. Every hundredth call also connects a new client.
    ///
    /// # Errors
    /// Returns an error if the server doesn't serve a client correctly.
    pub fn call(&mut self, latencies: &mut Latencies) -> io::Result<()> {
        self.calls += 1;
        if self.calls % 100 == 50 {
            let start = Instant::now();
            let (newcomer, _) = self.target.open_without_retry()?;
            ask(&newcomer, self.calls)?;
            latencies.first_calls.push(self.undisturbed_since(start));
            ask_for_handle(&newcomer, self.calls + 1)?;
            newcomer.send_frame(&Header::new(FrameKind::Bye), &[], &[])?;
        }
        if self.calls % WAITS_READ_EVERY == 0 {
            self.read_waits();
        }
        let start = Instant::now();
        ask(&self.connection, self.calls)?;
        latencies.calls.push(self.undisturbed_since(start));
        Ok(())
    }

    /// Returns the time since `start`, excluding the time that this thread and the server's threads
    /// waited for a CPU. So the load of other programs does not affect the result.
    fn undisturbed_since(&mut self, start: Instant) -> Duration {
        let duration = start.elapsed();
        let wait = if duration < SLOW { Duration::ZERO } else { self.read_waits() };
        duration.saturating_sub(wait)
    }

    /// Returns how long this thread and the server's threads have waited for a CPU since the
    /// previous call of this function.
    fn read_waits(&mut self) -> Duration {
        let earlier = std::mem::replace(&mut self.waits, ProcessorWaits::of_process(self.server));
        self.waits.since(&earlier)
    }

    /// Makes calls for this duration.
    ///
    /// # Errors
    /// Returns an error if the server doesn't serve a client correctly.
    pub fn call_for(&mut self, time: Duration) -> io::Result<Latencies> {
        let mut latencies = Latencies::default();
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.call(&mut latencies)?;
        }
        Ok(latencies)
    }
}

fn ask(connection: &RawConnection, number: u32) -> io::Result<()> {
    connection.call(number, NO_METHOD, &[], &[])?;
    match connection.receive(RESPONSE_TIMEOUT) {
        Response::Reply { call, fault: Some(Fault::NoSuchMethod(_)), .. } if call == number => {
            Ok(())
        }
        other => Err(io::Error::other(format!("an honest client got the response: {other}"))),
    }
}

/// Requests a door to the object, and checks that the reply contains its handle.
fn ask_for_handle(connection: &RawConnection, number: u32) -> io::Result<()> {
    connection.call(number, DOOR, &[], &[])?;
    match connection.receive(RESPONSE_TIMEOUT) {
        Response::Reply { call, fault: None, handles, .. }
            if call == number && handles.len() == 1 =>
        {
            Ok(())
        }
        other => Err(io::Error::other(format!("an honest client got no handle: {other}"))),
    }
}

impl Latencies {
    /// Returns the median latency of a call.
    pub fn median(&self) -> Duration {
        quantile(&self.calls, 0.5)
    }

    /// Returns the 99th percentile of the latencies.
    pub fn p99(&self) -> Duration {
        quantile(&self.calls, 0.99)
    }

    /// Returns the highest latency of a call.
    pub fn worst(&self) -> Duration {
        quantile(&self.calls, 1.0)
    }

    /// Returns the longest time from connecting a new client to its first reply.
    pub fn worst_first_call(&self) -> Duration {
        quantile(&self.first_calls, 1.0)
    }

    /// Returns the number of calls.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }
}

fn quantile(times: &[Duration], part: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let place = (times.len() as f64 * part) as usize;
    times.get(place.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_taken_from_sorted_times() {
        let times: Vec<_> = (0..100).rev().map(Duration::from_micros).collect();
        assert_eq!(quantile(&times, 0.5), Duration::from_micros(50));
        assert_eq!(quantile(&times, 0.99), Duration::from_micros(99));
        assert_eq!(quantile(&times, 1.0), Duration::from_micros(99));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }
}
