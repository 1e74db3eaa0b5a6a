//! The least that the work costs on this machine: hand-written, without any feature.
//!
//! No limits, no deadlines, no proof of anything, one peer that is trusted, buffers that are used
//! again. What a library costs above these is what its features cost, or its mistakes.

mod arena;
mod batch;
mod blocking;
mod client;
mod epoll;
mod protocol;
mod server;
mod socket;

use bench_harness::{Result, Role, die_with_parent, listener, role, take_orders};

use crate::client::Client;
use crate::socket::Floor;

fn main() -> Result<()> {
    match role()? {
        Role::Client(name) => take_orders(&mut Client::start(Floor::named(&name)?)?),
        Role::Server(name) => {
            die_with_parent();
            server::serve(Floor::named(&name)?, listener()?)
        }
    }
}
