//! Hostile peers: programs that break the rules of the wire, to test how a server reacts.
//!
//! A [`Scenario`] is one way to break the rules. It runs in a separate process, as another user if
//! possible, and reports each attempt with the server's answer. An [`Attack`] runs the scenarios
//! one after the other while an honest client calls the server. Then it compares the server's
//! descriptors and memory, and the durations of the honest client's calls, with the values from
//! before.
//!
//! The scenarios don't depend on the server's interface: they call methods that no interface has,
//! or pass arguments that no method accepts. Therefore they don't run code of the server's author.
//!
//! Reading order: [`Line`] is a raw connection, `scenarios` has a file for each scenario,
//! [`Attack`] runs them.

#![cfg(not(windows))]
#![forbid(unsafe_code)]

mod attack;
mod census;
mod honest;
mod hostage;
mod line;
mod report;
mod scenario;
mod scenarios;

pub use attack::Attack;
pub use census::Census;
pub use honest::{Honest, Times};
pub use hostage::Hostage;
pub use line::{Answer, Line};
pub use report::{Report, Row};
pub use scenario::{Act, Scenario, Target};
