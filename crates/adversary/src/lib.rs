//! Hostile peers, which break the rules of the wire protocol to test how a server reacts.
//!
//! A [`Scenario`] is one way to break the rules. It runs in a separate process, if possible as
//! another user, and reports each attempt with the server's responses. An [`Attack`] runs scenarios
//! one after the other while an honest client calls the server. Then it compares the server's
//! descriptors and memory, and the latencies of the honest client, with those before the attack.
//!
//! Most scenarios don't depend on the server's interface: they call methods that no interface has,
//! or pass arguments that no method accepts. So no method of the server runs. The other scenarios
//! call one method, which the user of the attack selects ([`MethodShape`]).
//!
//! Suggested reading order: [`RawConnection`], which sends and receives frames; `scenarios`, which
//! are grouped by the rules that they break; and [`Attack`], which runs them.

#![cfg(not(windows))]
#![forbid(unsafe_code)]

mod attack;
mod honest_client;
mod lingering_socket;
mod poll;
mod raw_connection;
mod report;
mod resources;
mod scenario;
mod scenarios;

pub use attack::Attack;
pub use honest_client::{HonestClient, Latencies};
pub use lingering_socket::LingeringSocket;
pub use raw_connection::{RawConnection, Response};
pub use report::{Report, ScenarioResult};
pub use resources::ResourceUsage;
pub use scenario::{Attempt, MethodShape, Scenario, TargetServer};
