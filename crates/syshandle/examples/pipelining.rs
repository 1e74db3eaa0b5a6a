//! Many calls in flight from one thread: the client begins calls without waiting for their results.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

use syshandle::{Result, interface, pipeline::pipelined};

/// Computes squares.
#[interface(iid = "b3f6c1de-6f0c-4e7b-8a3d-1c52e0a7d501")]
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

fn main() -> Result<()> {
    let client = SquaresAsyncClient::from(SquaresClient::in_process(Plain)?);

    // Each call is sent at once. The results can be fetched in any order.
    let (three, four) = (client.square(3), client.square(4));
    println!("4² = {}, 3² = {}", four.wait()?, three.wait()?);

    // These calls are sent to the server together, which costs less for many small calls.
    let calls: Vec<_> =
        pipelined(&client, |client| (1..=10).map(|number| client.square(number)).collect());
    let sum: u64 = calls.into_iter().map(|call| call.wait()).sum::<Result<u64>>()?;
    println!("1² + … + 10² = {sum}");

    // Dropping a pending call cancels the call.
    drop(client.square(5));
    Ok(())
}
