//! The server program of the Cold work, which is started in each lap.
//!
//! This program is about as large as the programs of the floors and the peers. The usual server
//! program is larger, because it also contains the interfaces with hundreds of methods that the
//! growth measurements use.

#![forbid(unsafe_code)]

mod numbers;

use std::time::Duration;

use bench_harness::role;
use syshandle::{Result, Server};

use crate::numbers::{COLD, Numbers};

fn main() -> bench_harness::Result<()> {
    // Performs the set-up that all servers of the benchmark share.
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

    fn notify(&self, _number: u64) {}
}

/// Time after which the server ends without a client. Each server gets a single call.
const LINGER: Duration = Duration::from_secs(2);
