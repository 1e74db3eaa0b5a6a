//! Hostile peers: programs that break the rules of the wire, and what a server makes of them.
//!
//! A [`Play`] is one way to misbehave. It runs in a process of its own, under another user where
//! that can be, and says of everything that it tried how the server answered. An [`Attack`] runs
//! the plays one after the other while an honest client goes on calling, and compares the server
//! afterwards with what it was before: its descriptors, its memory, the honest client's time.
//!
//! The plays need to know nothing of the server's interface: they call methods that no interface
//! has, and methods with handles that no method takes. So nothing of the server's own code runs.
//!
//! Reading order: [`Line`] speaks the wire, `plays` has a file for each play, [`Attack`] runs them.

#![cfg(not(windows))]
#![forbid(unsafe_code)]

mod attack;
mod census;
mod honest;
mod hostage;
mod line;
mod play;
mod plays;
mod report;

pub use attack::Attack;
pub use census::Census;
pub use honest::{Honest, Times};
pub use hostage::Hostage;
pub use line::{Answer, Line};
pub use play::{Act, Play, Target};
pub use report::{Report, Row};
