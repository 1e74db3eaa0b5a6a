//! A client with pipelined calls, which reports the outcome in one line.

use std::time::Duration;

use syshandle::{Activation, Result, class, interface, pipeline::pipelined};

use crate::sample_client::ClientOutcome;

/// An interface for many concurrent calls.
#[interface(iid = "0f4f8a51-7b0c-4f43-9d2c-52a6d35b6c01")]
pub trait Numbers {
    /// Returns the number plus one.
    fn next(&self, number: u64) -> Result<u64>;
}

class! {
    /// The class of [`Counter`].
    pub NUMBERS: Numbers = "0f4f8a51-7b0c-4f43-9d2c-52a6d35b6c02";
}

/// An object that adds one to each number.
#[derive(Debug)]
pub struct Counter;

impl Numbers for Counter {
    fn next(&self, number: u64) -> Result<u64> {
        Ok(number + 1)
    }
}

/// The command-line argument that selects this client.
pub const PIPELINED_CALLS: &str = "--pipelined";

/// Number of consecutive calls after which the server dedicates a worker to the client. That worker
/// can receive several calls with one system call.
const ALONE: u64 = 100;

/// Number of calls in each pipeline, and number of pipelines.
const CALLS: u64 = 40;
const TIMES: u32 = 3;

/// Makes calls as fast as possible, each with this timeout. Returns the outcome and the text of the
/// error.
pub fn call_pipelined(activation: &Activation, timeout: Duration) -> (ClientOutcome, String) {
    match try_to_call(activation, timeout) {
        Ok(()) => (ClientOutcome::Finished, String::new()),
        Err(error) => {
            let text = format!("{error:#}");
            (ClientOutcome::from(error), text)
        }
    }
}

fn try_to_call(activation: &Activation, timeout: Duration) -> Result<()> {
    let numbers: NumbersClient = activation.clone().timeout(timeout).activate(NUMBERS.clsid())?;
    let numbers = numbers.with_timeout(timeout);
    for number in 0..ALONE {
        check(number, numbers.next(number)?)?;
    }
    let starter = NumbersAsyncClient::from(&numbers);
    for _ in 0..TIMES {
        let calls: Vec<_> =
            pipelined(&starter, |starter| (0..CALLS).map(|number| starter.next(number)).collect());
        // Waits for all calls, even if one fails.
        let results: Vec<_> = calls.into_iter().map(|call| call.wait()).collect();
        for (number, result) in (0..).zip(results) {
            check(number, result?)?;
        }
    }
    Ok(())
}

fn check(number: u64, next: u64) -> Result<()> {
    match next == number + 1 {
        true => Ok(()),
        false => Err(syshandle::Error::failed(format!("after {number} came {next}"))),
    }
}
