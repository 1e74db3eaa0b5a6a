//! A contender, and how it takes its orders.

use std::io::{BufRead, Write};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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

    /// Why that is no work of its, in a few words for people; empty where nobody would ask.
    fn why_not(&self, _work: Work) -> &'static str {
        ""
    }
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
    raise_descriptor_limit();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["client", name] => Ok(Role::Client((*name).into())),
        ["server", name] => {
            // A service is in a session of its own, whoever starts it; and with the scheduler's
            // autogroups that costs each switch to it some time.
            let _ = rustix::process::setsid();
            Ok(Role::Server((*name).into()))
        }
        _ => Err("this program is run by the benchmark: `cargo xtask bench`".into()),
    }
}

/// Does what standard input says, line by line: work, placement, milliseconds. Answers each line
/// with one: `ok` and a report, `none` and why for work that isn't its own, or `error` and why.
/// Before the first it says `ready` and names the processes on the other side.
///
/// # Errors
/// Those of writing to standard output.
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

/// Ten thousand clients take as many descriptors at either side, and the usual limit is a thousand.
/// How many a process may have is [`descriptors_max`]; what a contender starts has the same limit.
fn raise_descriptor_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Whoever needs more than there are is told so then.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// How many descriptors a process may have: the hard limit (`ulimit -Hn`).
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
