//! The code that all contenders of the benchmark share.
//!
//! A contender is a program with two roles. As the *client*, it starts its own server, does the
//! work that the runner requests on standard input, and answers with one line of numbers. As the
//! *server*, it serves the listening socket that is its standard input. All contenders are
//! therefore alive at the same time and take turns, so that their ratios are meaningful even on a
//! busy machine.
//!
//! Reading order: [`Work`] is the measured work, [`Contender`] does it, [`Laps`] measures it.

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

/// The result of a step of the benchmark. The runner prints an error and continues with the other
/// contenders.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
