//! The floors: hand-written programs that show the minimum cost of the work on this machine.
//!
//! The floors have no limits, no deadlines and no proofs, trust their peer, and reuse their
//! buffers. The additional cost of a library is the cost of its features or of its inefficiencies.

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
