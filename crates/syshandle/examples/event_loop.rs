//! A client in an event loop of the program, here `epoll`. The library creates no thread in the
//! client and never waits.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

use syshandle::{Result, interface};

/// Computes squares.
#[interface(iid = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d601")]
trait Squares {
    /// Returns the square of a number.
    fn square(&self, number: u64) -> Result<u64>;
}

struct Plain;

impl Squares for Plain {
    fn square(&self, number: u64) -> Result<u64> {
        Ok(number * number)
    }
}

#[cfg(not(windows))]
fn main() -> Result<()> {
    use std::time::Instant;

    use rustix::buffer::spare_capacity;
    use rustix::event::{Timespec, epoll};
    use syshandle::{object::Proxy, pipeline::PendingCall};

    let client = SquaresClient::in_process(Plain)?;
    let source = client.as_client().event_source()?;
    let squares = SquaresAsyncClient::from(&client);

    // The event loop may wait for other descriptors too.
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(std::io::Error::from)?;
    let data = epoll::EventData::new_u64(0);
    epoll::add(&epoll, &source, data, epoll::EventFlags::IN).map_err(std::io::Error::from)?;

    // Beginning a call never waits. 64 calls are in flight, and the others are queued.
    let mut calls: Vec<_> = (1..=100).map(|number| squares.square(number)).collect();
    let mut sum = 0;
    while !calls.is_empty() {
        let next = source.dispatch()?;
        let (ready, waiting): (Vec<_>, _) = calls.into_iter().partition(PendingCall::is_ready);
        for call in ready {
            sum += call.wait()?;
        }
        calls = waiting;
        let timeout = next.map(|next| next.saturating_duration_since(Instant::now()));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        if !calls.is_empty() {
            let mut events = Vec::with_capacity(16);
            epoll::wait(&epoll, spare_capacity(&mut events), timeout.as_ref())
                .map_err(std::io::Error::from)?;
        }
    }
    println!("1² + … + 100² = {sum}");
    Ok(())
}

/// On Windows COM needs threads of its own.
#[cfg(windows)]
fn main() -> Result<()> {
    println!("3² = {}", SquaresClient::in_process(Plain)?.square(3)?);
    Ok(())
}
