//! The server that is started over and over.
//!
//! A program of its own, with no more in it than the programs of the floors and the peers have: not
//! the interfaces of hundreds of methods that growth is measured with.

#![forbid(unsafe_code)]

mod numbers;

use std::time::Duration;

use bench_harness::role;
use syshandle::{Result, Server};

use crate::numbers::{COLD, Numbers};

fn main() -> bench_harness::Result<()> {
    // Does what all servers do first.
    role()?;
    Ok(Server::new().class(COLD, || Cold).idle_exit(LINGER).run()?)
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

/// Nobody needs it after its one call.
const LINGER: Duration = Duration::from_secs(2);
