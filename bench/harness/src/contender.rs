//! Contenders, and the orders that they execute.

use std::io::{BufRead, Write};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{Laps, Placement, Result, Work};

/// A way to make calls between processes.
pub trait Contender {
    /// Returns the ids of the processes on the other side.
    fn pids(&self) -> Vec<u32>;

    /// Does the work until [`Laps`] has counted enough. Returns `false` if the contender can't do
    /// this work.
    ///
    /// # Errors
    /// Any failure of the contender.
    fn run(&mut self, work: Work, laps: &mut Laps) -> Result<bool>;

    /// Returns a short reason why the contender can't do this work, or an empty text if the reason
    /// is obvious.
    fn why_not(&self, _work: Work) -> &'static str {
        ""
    }
}

/// The role in which a contender's program was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client of the contender with this name.
    Client(String),
    /// The server of the contender with this name.
    Server(String),
}

/// Returns the role of this program.
///
/// # Errors
/// The arguments name no role.
pub fn role() -> Result<Role> {
    raise_descriptor_limit();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["client", name] => Ok(Role::Client((*name).into())),
        ["server", name] => {
            // Real services run in a session of their own. If the scheduler groups processes by
            // session (autogroup), this makes each switch to the server a little slower.
            let _ = rustix::process::setsid();
            Ok(Role::Server((*name).into()))
        }
        _ => Err("this program is run by the benchmark: `cargo xtask bench`".into()),
    }
}

/// Executes the orders on standard input, one per line: work, placement, milliseconds. Answers each
/// with one line: `ok` and a report, `none` and the reason if the contender can't do the work, or
/// `error` and the cause. Before the first order, prints `ready` and the ids of the processes on
/// the other side.
///
/// # Errors
/// Errors of writing to standard output.
pub fn take_orders(contender: &mut dyn Contender) -> Result<()> {
    let mut output = std::io::stdout();
    let pids: Vec<String> = contender.pids().iter().map(u32::to_string).collect();
    writeln!(output, "ready {}", pids.join(" "))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match carry_out(contender, &line) {
            Ok(Some(report)) => writeln!(output, "ok {report}")?,
            Ok(None) => {
                let work = line.split(' ').next().and_then(|word| word.parse().ok());
                writeln!(output, "none {}", work.map_or("", |work| contender.why_not(work)))?;
            }
            Err(error) => writeln!(output, "error {}", error.to_string().replace('\n', " "))?,
        }
        output.flush()?;
    }
    Ok(())
}

/// Raises the soft limit of descriptors to [`descriptors_max`]. Ten thousand clients take as many
/// descriptors on either side, and the usual limit is a thousand. Child processes inherit the
/// limit.
fn raise_descriptor_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    // An error is ignored here. A contender that needs more descriptors fails later.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Returns the hard limit of descriptors of this process (`ulimit -Hn`).
pub fn descriptors_max() -> usize {
    getrlimit(Resource::Nofile).maximum.map_or(usize::MAX, |max| max as usize)
}

fn carry_out(contender: &mut dyn Contender, line: &str) -> Result<Option<String>> {
    let [work, placement, ms] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err("an order has three words".into());
    };
    let others = contender.pids();
    placement.parse::<Placement>()?.apply(&others)?;
    let pids = others.into_iter().chain([std::process::id()]).collect();
    let mut laps = Laps::new(Duration::from_millis(ms.parse()?), pids);
    let done = contender.run(work.parse()?, &mut laps)?;
    Ok(done.then(|| laps.report().to_string()))
}
