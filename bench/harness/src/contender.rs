//! A contender, and how it takes its orders.

use std::io::{BufRead, Write};
use std::time::Duration;

use crate::{Laps, Placement, Result, Work};

/// One way to make calls between processes.
pub trait Contender {
    /// The processes on the other side.
    fn pids(&self) -> Vec<u32>;

    /// Does work until the laps are over; `false` if this is no work of its.
    ///
    /// # Errors
    /// Whatever went wrong.
    fn run(&mut self, work: Work, laps: &mut Laps) -> Result<bool>;
}

/// What a contender's program was started as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client of this contender.
    Client(String),
    /// The server of this contender.
    Server(String),
}

/// What this program was started as.
///
/// # Errors
/// Neither.
pub fn role() -> Result<Role> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["client", name] => Ok(Role::Client((*name).into())),
        ["server", name] => Ok(Role::Server((*name).into())),
        _ => Err("this program is run by the benchmark: `cargo xtask bench`".into()),
    }
}

/// Does what standard input says, line by line: work, placement, milliseconds. Answers each line
/// with one: `ok` and a report, `none` for work that isn't its own, or `error` and why. Before the
/// first it says `ready` and names the processes on the other side.
///
/// # Errors
/// Those of writing to standard output.
pub fn take_orders(contender: &mut dyn Contender) -> Result<()> {
    let mut output = std::io::stdout();
    let pids: Vec<String> = contender.pids().iter().map(u32::to_string).collect();
    writeln!(output, "ready {}", pids.join(" "))?;
    for line in std::io::stdin().lock().lines() {
        match carry_out(contender, &line?) {
            Ok(Some(report)) => writeln!(output, "ok {report}")?,
            Ok(None) => writeln!(output, "none")?,
            Err(error) => writeln!(output, "error {}", error.to_string().replace('\n', " "))?,
        }
        output.flush()?;
    }
    Ok(())
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
