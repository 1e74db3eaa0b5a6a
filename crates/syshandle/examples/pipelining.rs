//! Many calls in flight from one thread: the client starts calls without waiting for their results.

#![expect(clippy::print_stdout, reason = "a program that talks to people")]

use syshandle::{Result, interface};

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

#[cfg(not(windows))]
fn main() -> Result<()> {
    use syshandle::pipeline::pipelined;

    let squares = SquaresClient::in_process(Plain)?;
    let starter = SquaresAsyncClient::from(&squares);

    // Each call is sent at once. The results can be fetched in any order.
    let (three, four) = (starter.square(3), starter.square(4));
    println!("4² = {}, 3² = {}", four.wait()?, three.wait()?);

    // These calls are sent to the server together, which costs less for many small calls.
    let calls: Vec<_> =
        pipelined(&starter, |starter| (1..=10).map(|number| starter.square(number)).collect());
    let sum: u64 = calls.into_iter().map(|call| call.wait()).sum::<Result<u64>>()?;
    println!("1² + … + 10² = {sum}");

    // Dropping a pending call cancels the call.
    drop(starter.square(5));
    Ok(())
}

/// On Windows there are no starters, so the program makes an ordinary call.
#[cfg(windows)]
fn main() -> Result<()> {
    println!("3² = {}", SquaresClient::in_process(Plain)?.square(3)?);
    Ok(())
}
