//! Has the contenders take turns.

use std::collections::BTreeMap;

use bench_harness::{Result, Work};

use crate::contenders::{self, Entry, floor_of};
use crate::machine::Folder;
use crate::options::Options;
use crate::plan::{Task, tasks};
use crate::process::Process;
use crate::results::Results;

/// Has all do everything that is asked for.
pub(crate) fn run(
    options: &Options,
    entries: &[&'static Entry],
    folder: &Folder,
    results: &mut Results,
) -> Result<()> {
    let tasks = tasks(options);
    let entries = with_floors(entries, &tasks, results)?;
    let mut running = BTreeMap::new();
    for entry in &entries {
        match Process::ready(entry, entry.name, folder.path()) {
            Ok(process) => drop(running.insert(entry.name, process)),
            Err(error) => results.leave_out(entry.name, &error.to_string()),
        }
    }
    for task in &tasks {
        if let Work::Idle(_) = task.work {
            idle(&entries, task, folder, results);
            continue;
        }
        eprint!("{} {} ", task.work, task.placement);
        // Those who do this work; they warm up meanwhile.
        let warm = Task { ms: task.ms.min(WARM_MS), ..*task };
        let names: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
        let mut able = Vec::new();
        for name in names {
            match turn(&mut running, name, &warm, results) {
                // What takes seconds isn't asked for again and again.
                Some(report) if report.median_ns > SLOW_NS => results.add(task, name, 0, &report),
                Some(_) => able.push(name),
                None => {}
            }
        }
        for round in 0..task.rounds {
            eprint!(".");
            able.retain(|name| match turn(&mut running, name, task, results) {
                Some(report) => {
                    results.add(task, name, round, &report);
                    true
                }
                None => false,
            });
            // Nobody always follows the same one.
            let next = usize::from(able.len() > 1);
            able.rotate_left(next);
        }
        eprintln!();
    }
    Ok(())
}

/// Idle clients are counted once, and by a server of their own: what another has used before, it
/// would use again.
fn idle(entries: &[&'static Entry], task: &Task, folder: &Folder, results: &mut Results) {
    eprintln!("{}", task.work);
    for entry in entries {
        let order = |mut process: Process| process.order(task);
        match Process::ready(entry, entry.name, folder.path()).and_then(order) {
            Ok(Some(report)) => results.add(task, entry.name, 0, &report),
            Ok(None) => {}
            Err(error) => {
                let why = format!("failed at {}: {error}", task.work);
                results.left_out.insert(entry.name.into(), why);
            }
        }
    }
}

/// One turn; `None` when it isn't able to. Who fails is left out from then on.
fn turn(
    running: &mut BTreeMap<&str, Process>,
    name: &str,
    task: &Task,
    results: &mut Results,
) -> Option<bench_harness::Report> {
    match running.get_mut(name)?.order(task) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("\n{name} failed at {} {}: {error}", task.work, task.placement);
            let why = format!("failed at {} {}: {error}", task.work, task.placement);
            results.left_out.insert(name.into(), why);
            running.remove(name);
            None
        }
    }
}

/// These, and the floors that they are compared with.
fn with_floors(
    entries: &[&'static Entry],
    tasks: &[Task],
    results: &mut Results,
) -> Result<Vec<&'static Entry>> {
    let mut floors = Vec::new();
    for task in tasks {
        let floor = contenders::named(floor_of(task.work, task.placement))?;
        if !entries.iter().chain(&floors).any(|entry| entry.name == floor.name) {
            floors.push(floor);
        }
    }
    let mut all = match floors.is_empty() {
        true => Vec::new(),
        false => crate::build::build(&floors, results)?,
    };
    all.extend(entries);
    Ok(all)
}

/// A call that takes this long.
const SLOW_NS: f64 = 1e9;

/// Buffers are made, pages are there, the processor is awake.
const WARM_MS: u64 = 20;
