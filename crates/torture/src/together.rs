//! A client that begins many calls at once, and says, in one line, how that ended.

use std::time::Duration;

use syshandle::{Activation, Result, class, interface, together};

use crate::finish::Ending;

/// Calls of which many can be in flight.
#[interface(iid = "0f4f8a51-7b0c-4f43-9d2c-52a6d35b6c01")]
pub trait Numbers {
    /// The next number.
    fn next(&self, number: u64) -> Result<u64>;
}

class! {
    /// What counts.
    pub NUMBERS: Numbers = "0f4f8a51-7b0c-4f43-9d2c-52a6d35b6c02";
}

/// Counts.
#[derive(Debug)]
pub struct Counter;

impl Numbers for Counter {
    fn next(&self, number: u64) -> Result<u64> {
        Ok(number + 1)
    }
}

/// The argument of a client that does this.
pub const TOGETHER: &str = "--together";

/// So many calls, one after the other, and a thread of the server's stays with the client, which
/// looks whether several of them wait.
const ALONE: u64 = 100;

/// Calls that go together, and how often.
const CALLS: u64 = 40;
const TIMES: u32 = 3;

/// Calls as fast as it can, each in this time; returns how that ended, and the error's text.
pub fn call_together(activation: &Activation, timeout: Duration) -> (Ending, String) {
    match try_to_call(activation, timeout) {
        Ok(()) => (Ending::Finished, String::new()),
        Err(error) => {
            let text = format!("{error:#}");
            (Ending::from(error), text)
        }
    }
}

fn try_to_call(activation: &Activation, timeout: Duration) -> Result<()> {
    let numbers: NumbersClient = activation.clone().timeout(timeout).activate(NUMBERS.clsid())?;
    let numbers = numbers.with_timeout(timeout);
    for number in 0..ALONE {
        check(number, numbers.next(number)?)?;
    }
    let starter = NumbersStarter::from(&numbers);
    for _ in 0..TIMES {
        let calls: Vec<_> =
            together(&starter, |starter| (0..CALLS).map(|number| starter.next(number)).collect());
        // All of them are waited for, also when one fails.
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
