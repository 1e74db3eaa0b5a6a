//! Hostile peers: programs that break the rules of the wire, to test how a server reacts.
//!
//! A [`Scenario`] is a way to break the rules. It runs in a separate process, as another user if
//! possible, and reports each attempt with the server's responses. An [`Attack`] runs the scenarios
//! one after the other while an honest client calls the server. Then it compares the server's
//! descriptors and memory, and the latencies of the honest client, with the values from before.
//!
//! Most scenarios don't depend on the server's interface: they call methods that no interface has,
//! or pass arguments that no method accepts. Therefore they don't run code of the server's author.
//! The others call one method, which the user of the attack names ([`MethodShape`]).
//!
//! Reading order: [`RawConnection`] sends and receives frames, `scenarios` groups the scenarios by
//! the rules that they break, [`Attack`] runs them.

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
