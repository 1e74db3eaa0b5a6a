//! The ladder and the probes, which the program of syshandle climbs by itself.

use bench_harness::Result;

use crate::contenders;
use crate::machine::Folder;
use crate::process::Process;
use crate::results::{Results, Rung};

/// Has it climb, and takes down what each rung costs.
pub(crate) fn climb(folder: &Folder, results: &mut Results) -> Result<()> {
    eprintln!("the ladder and the probes");
    let process = Process::start(contenders::named("syshandle")?, "ladder", folder.path())?;
    for line in process.lines() {
        let [what, name, ns] = line.split('\t').collect::<Vec<_>>()[..] else { continue };
        let rung = Rung { name: name.to_owned(), ns: ns.parse()? };
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
