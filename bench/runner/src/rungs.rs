//! Runs the ladder and the probes, which are part of syshandle's own contender.

use bench_harness::Result;

use crate::contenders;
use crate::machine::Folder;
use crate::process::Process;
use crate::results::{Results, Rung};

/// Runs the ladder, and records the cost of each rung.
pub(crate) fn climb(folder: &Folder, results: &mut Results) -> Result<()> {
    let process = Process::start(contenders::named("syshandle")?, "ladder", folder.path())?;
    for line in process.lines() {
        let [what, name, ns, spread] = line.split('\t').collect::<Vec<_>>()[..] else { continue };
        let rung = Rung { name: name.to_owned(), ns: ns.parse()?, noise: spread.parse()? };
        match what {
            "ladder" => results.ladder.push(rung),
            _ => results.probes.push(rung),
        }
    }
    match results.ladder.is_empty() {
        true => Err("the ladder wasn't climbed".into()),
        false => Ok(()),
    }
}

/// Typical time of the ladder.
pub(crate) const TIME: std::time::Duration = std::time::Duration::from_secs(6);
