//! Starters begin calls without waiting for their replies.

use std::sync::Arc;

use super::pipeline::Pipeline;
use crate::class::Sealed;
use crate::client::Client;

/// Begins calls of an interface without waiting for their replies. Sealed:
/// [`interface`](crate::interface) implements this trait for the `…Starter` that it generates.
pub trait Starter: Sealed + Sized {
    /// Wraps a reference to an object that is known to have the interface.
    #[doc(hidden)]
    fn from_client(client: Client) -> Self;

    /// Returns the wrapped reference.
    #[doc(hidden)]
    fn as_client(&self) -> &Client;
}

/// Begins calls that are sent to the server together: the calls that `begin` begins with its argument,
/// a copy of `starter`.
///
/// Many small calls cost less this way than one after the other. They are sent when `begin` returns, or
/// earlier: after sixteen calls, when one of them is waited for, or when one has handles, has to wait
/// for a call slot or has more than 1 KiB of arguments. If sending fails, each call returns the error
/// from its [`PendingCall::wait`](crate::pipeline::PendingCall::wait). A call whose
/// [`PendingCall`](crate::pipeline::PendingCall) is dropped before the call is sent is never sent.
///
/// ```
/// use syshandle::{Result, interface, pipeline::pipelined};
///
/// #[interface(iid = "0b7a0f0e-5d1b-4f5e-8f0a-6f8f3c1c2a12")]
/// pub trait Squares {
///     fn square(&self, number: u64) -> Result<u64>;
/// }
///
/// struct Plain;
///
/// impl Squares for Plain {
///     fn square(&self, number: u64) -> Result<u64> {
///         Ok(number * number)
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let squares = SquaresClient::in_process(Plain)?;
/// let calls: Vec<_> = pipelined(&SquaresStarter::from(&squares), |starter| {
///     (1..=3).map(|number| starter.square(number)).collect()
/// });
/// let sum: u64 = calls.into_iter().map(|call| call.wait()).sum::<Result<u64>>()?;
/// assert_eq!(sum, 14);
/// # Ok(())
/// # }
/// ```
pub fn pipelined<S: Starter, R>(starter: &S, begin: impl FnOnce(&S) -> R) -> R {
    let client = starter.as_client();
    // Keeps the order: calls that were begun earlier are sent first.
    client.flush_pipeline();
    let mut pipelining = client.clone();
    pipelining.object.pipeline = Some(Arc::new(Pipeline::new()));
    let pipelining = S::from_client(pipelining);
    let _end = FlushOnDrop(pipelining.as_client());
    begin(&pipelining)
}

/// Sends the held calls on drop, also during a panic.
struct FlushOnDrop<'c>(&'c Client);

impl Drop for FlushOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(pipeline) = &self.0.object.pipeline {
            // Copies of the starter may live on. The calls that they begin later must not be held.
            pipeline.end();
        }
        self.0.flush_pipeline();
    }
}

impl Client {
    /// Sends the calls that this client holds.
    fn flush_pipeline(&self) {
        if let (Some(pipeline), Some(connection)) = (&self.object.pipeline, self.own_connection()) {
            pipeline.send(connection, &mut self.deadline());
        }
    }
}
