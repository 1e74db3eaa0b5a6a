//! The server that is started repeatedly.
//!
//! It is a separate program, about as large as the programs of the floors and the peers. It does not
//! contain the interfaces with hundreds of methods that the growth measurements use.

#![forbid(unsafe_code)]

mod numbers;

use std::time::Duration;

use bench_harness::role;
use syshandle::{Result, Server};

use crate::numbers::{COLD, Numbers};

fn main() -> bench_harness::Result<()> {
    // Performs the set-up of all servers.
    role()?;
    Ok(Server::new().class(COLD, || Cold).idle_timeout(LINGER).run()?)
}

/// The object of the class.
#[derive(Debug)]
struct Cold;

impl Numbers for Cold {
    fn null(&self, number: u64) -> Result<u64> {
        Ok(number + 1)
    }

    fn echo(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(bytes)
    }
}

/// The server isn't needed after its single call.
const LINGER: Duration = Duration::from_secs(2);
