//! syshandle with its default features: limits, deadlines, proof of handles, identity of both
//! sides.
//!
//! The server is started by activation, from a registration in a temporary folder.

#![forbid(unsafe_code)]

mod client;
mod counts;
mod interface;
mod ladder;
mod layers;
mod numbers;
mod objects;
mod probes;
mod registration;
mod server;
mod sizes;
mod waiting;

use bench_harness::{Result, Role, role, take_orders};

fn main() -> Result<()> {
    match role()? {
        Role::Client(name) if name == "ladder" => ladder::climb(),
        Role::Client(name) if name.starts_with("count-") => counts::run(&name),
        Role::Client(name) => take_orders(&mut client::Contestant::start(&name)?),
        Role::Server(_) => server::serve(),
    }
}
