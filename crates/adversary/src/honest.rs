//! A client that follows the rules, and the durations of its calls.

use std::io;
use std::time::{Duration, Instant};

use syshandle_wire::{Fault, FrameKind, Header};

use crate::Target;
use crate::line::{Answer, Line, PATIENCE};
use crate::scenarios::{DOOR, NO_METHOD};

/// A client that follows the rules. It makes one call after the other, and connects a further
/// client from time to time.
#[derive(Debug)]
pub struct Honest {
    target: Target,
    line: Line,
    calls: u32,
}

/// The waiting times of an honest client.
#[derive(Clone, Debug, Default)]
pub struct Times {
    calls: Vec<Duration>,
    arrivals: Vec<Duration>,
}

impl Honest {
    /// Connects, and also returns the server's process identifier.
    ///
    /// # Errors
    /// Returns an error if the server doesn't serve the client.
    pub fn new(target: Target) -> io::Result<(Self, u32)> {
        let line = Line::connect(&target.address)?;
        let pid = match line.answer(PATIENCE) {
            Answer::Greeting(_, Some(server)) => server.pid,
            other => return Err(io::Error::other(format!("the server doesn't greet: {other}"))),
        };
        let hello = syshandle_wire::Hello { clsid: target.clsid, iid: target.iid };
        line.frame(&Header::new(FrameKind::Hello), &hello.write(), &[])?;
        Ok((Self { target, line, calls: 0 }, pid))
    }

    /// Makes a call and records its duration. On every hundredth call, also connects a new client.
    ///
    /// # Errors
    /// Returns an error if a client isn't served correctly.
    pub fn call(&mut self, times: &mut Times) -> io::Result<()> {
        self.calls += 1;
        if self.calls % 100 == 50 {
            let began = Instant::now();
            let newcomer = self.target.open_at_once()?;
            ask(&newcomer, self.calls)?;
            times.arrivals.push(began.elapsed());
            ask_for_handle(&newcomer, self.calls + 1)?;
            newcomer.frame(&Header::new(FrameKind::Bye), &[], &[])?;
        }
        let began = Instant::now();
        ask(&self.line, self.calls)?;
        times.calls.push(began.elapsed());
        Ok(())
    }

    /// Makes calls for this time.
    ///
    /// # Errors
    /// Returns an error if a client isn't served correctly.
    pub fn call_for(&mut self, time: Duration) -> io::Result<Times> {
        let mut times = Times::default();
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.call(&mut times)?;
        }
        Ok(times)
    }
}

fn ask(line: &Line, number: u32) -> io::Result<()> {
    line.call(number, NO_METHOD, &[], &[])?;
    match line.answer(PATIENCE) {
        Answer::Reply { call, fault: Some(Fault::NoSuchMethod(_)), .. } if call == number => Ok(()),
        other => Err(io::Error::other(format!("an honest client got the answer: {other}"))),
    }
}

/// Asks for a door to the object, and checks that the reply contains its handle.
fn ask_for_handle(line: &Line, number: u32) -> io::Result<()> {
    line.call(number, DOOR, &[], &[])?;
    match line.answer(PATIENCE) {
        Answer::Reply { call, fault: None, handles } if call == number && handles.len() == 1 => {
            Ok(())
        }
        other => Err(io::Error::other(format!("an honest client got no handle: {other}"))),
    }
}

impl Times {
    /// The median duration of a call.
    pub fn median(&self) -> Duration {
        quantile(&self.calls, 0.5)
    }

    /// The 99th percentile of the durations.
    pub fn p99(&self) -> Duration {
        quantile(&self.calls, 0.99)
    }

    /// The longest duration of a call.
    pub fn worst(&self) -> Duration {
        quantile(&self.calls, 1.0)
    }

    /// The longest time from the connection of a new client until its first reply.
    pub fn worst_arrival(&self) -> Duration {
        quantile(&self.arrivals, 1.0)
    }

    /// The number of calls.
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
