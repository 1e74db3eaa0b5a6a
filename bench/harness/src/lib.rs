//! What every contender of the benchmark has in common.
//!
//! A contender is a program with two roles. As *client* it starts its own server, and then does
//! the work that the runner tells it on standard input, and answers with one line of numbers; as
//! *server* it serves the listening socket that is its standard input. So all contenders are
//! alive at once and take turns, which is what makes their ratios worth something on a machine
//! that does other things too.
//!
//! Reading order: [`Work`] is what is done, [`Contender`] who does it, [`Laps`] what it took.

mod contender;
mod idle;
mod laps;
mod placement;
mod process;
mod server;
pub mod sparkle;
pub mod sys;
mod threads;
mod work;

pub use contender::{Contender, Role, descriptors_max, role, take_orders};
pub use idle::idle_clients;
pub use laps::{Laps, Report};
pub use placement::Placement;
pub use process::{cpu_time, memory};
pub use server::{Server, SocketType, connect, die_with_parent, folder, listener};
pub use threads::in_threads;
pub use work::{UnknownWork, Work};

/// Whatever went wrong: the runner shows it and goes on with the others.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
