//! A client that passes handles and large values, which travel through shared memory. It reports
//! the outcome in one line.

use std::sync::Arc;
use std::time::Duration;

use syshandle::handle::{Event, Registered};
use syshandle::{Activation, Result, class, interface};

use crate::sample_client::ClientOutcome;

/// An interface for large values and handles.
#[interface(iid = "0f4f8a51-7b0c-4f43-9d2c-52a6d35b6c03")]
pub trait Large {
    /// Returns the bytes.
    fn echo(&self, bytes: Vec<u8>) -> Result<Vec<u8>>;

    /// Returns the event, and the process ID of the server.
    fn event(&self, event: Event) -> Result<(Event, u32)>;

    /// Returns the event as a registered handle.
    fn registered(&self, event: Arc<Event>) -> Result<Registered<Event>>;
}

class! {
    /// A class whose methods return their arguments.
    pub LARGE: Large = "0f4f8a51-7b0c-4f43-9d2c-52a6d35b6c04";
}

/// An object whose methods return their arguments.
#[derive(Debug)]
pub struct Echo;

impl Large for Echo {
    fn echo(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(bytes)
    }

    fn event(&self, event: Event) -> Result<(Event, u32)> {
        Ok((event, std::process::id()))
    }

    fn registered(&self, event: Arc<Event>) -> Result<Registered<Event>> {
        Ok(Registered::from(event))
    }
}

/// The command-line argument that selects this client.
pub const LARGE_VALUES: &str = "--large";

/// The sizes of the values in bytes. The order matters: the shared memory may be freed between the
/// calls with the last two sizes.
const SIZES: [usize; 4] = [100_000, 3 << 20, 12 << 20, 200_000];

/// Number of calls with a registered handle. The first one passes the handle, and the others name
/// it.
const REGISTERED_CALLS: u32 = 3;

/// Calls with values of several sizes. Returns the outcome of the first failed call, and the text
/// of its error. After a failure, repeats all calls on a new connection.
pub fn call_large(activation: &Activation, timeout: Duration) -> (ClientOutcome, String) {
    let Err(error) = try_to_call(activation, timeout) else {
        return (ClientOutcome::Finished, String::new());
    };
    let text = format!("{error:#}");
    match try_to_call(activation, timeout) {
        Ok(_) => (ClientOutcome::from(error), text),
        Err(again) => {
            let text = format!("{text}, and then: {again:#}");
            (ClientOutcome::from(again), text)
        }
    }
}

/// Makes all calls. Returns the process ID of the server.
///
/// # Errors
/// Returns the error of the first call that fails.
pub fn try_to_call(activation: &Activation, timeout: Duration) -> Result<u32> {
    let client: LargeClient = activation.clone().timeout(timeout).activate(LARGE.clsid())?;
    let client = client.with_timeout(timeout);
    for size in SIZES {
        let bytes: Vec<u8> = (0..size).map(|place| (place % 251) as u8).collect();
        if client.echo(&bytes)? != bytes {
            return Err(syshandle::Error::failed("the server returned different bytes"));
        }
    }
    let registered = Registered::new(Event::new()?);
    for _ in 0..REGISTERED_CALLS {
        client.registered(&registered)?.set()?;
        if !registered.poll()? {
            return Err(syshandle::Error::failed("the server returned another event"));
        }
        registered.reset()?;
    }
    let (event, server) = client.event(&registered)?;
    event.set()?;
    Ok(server)
}
