//! Runs the contenders in turn.

use std::collections::BTreeMap;

use bench_harness::{Report, Result, Work};

use crate::contenders::{self, Entry, floor_of};
use crate::interrupt;
use crate::machine::Folder;
use crate::pace::Pace;
use crate::plan::Task;
use crate::process::{Done, Process};
use crate::results::Results;

/// The running contenders.
struct Contest<'c> {
    folder: &'c Folder,
    results: &'c mut Results,
    running: BTreeMap<&'static str, Process>,
}

/// Runs all contenders with all tasks.
///
/// # Errors
/// The run was interrupted. A contender that fails is omitted, and the others continue.
pub(crate) fn run(
    tasks: &[Task],
    entries: &[&'static Entry],
    folder: &Folder,
    results: &mut Results,
    pace: &mut Pace,
) -> Result<()> {
    let mut contest = Contest { folder, results, running: BTreeMap::new() };
    for entry in entries {
        interrupt::check()?;
        match Process::ready(entry, entry.name, folder.path()) {
            Ok(process) => drop(contest.running.insert(entry.name, process)),
            Err(error) => contest.results.leave_out(entry.name, &error.to_string()),
        }
    }
    for task in tasks {
        pace.begin(&format!("{} {}", task.work, task.placement));
        match task.work {
            Work::Idle(_) => contest.idle(entries, task, pace)?,
            _ => contest.rounds(entries, task, pace)?,
        }
        pace.end();
    }
    Ok(())
}

impl Contest<'_> {
    fn rounds(&mut self, entries: &[&'static Entry], task: &Task, pace: &Pace) -> Result<()> {
        // Determines the contenders that can do this work. This turn also warms them up.
        let warm = Task { ms: task.ms.min(WARM_MS), ..*task };
        let mut able = Vec::new();
        for entry in entries {
            match self.turn(entry.name, &warm)? {
                // A call that takes seconds is not repeated.
                Some(report) if report.median_ns > SLOW_NS => {
                    self.results.add(task, entry.name, 0, &report);
                }
                Some(_) => able.push(entry.name),
                None => {}
            }
        }
        for round in 0..task.rounds {
            if pace.is_late() && round >= ROUNDS_MIN.min(task.rounds) || pace.is_over() {
                eprint!(" {} rounds of {}, for the time", round, task.rounds);
                break;
            }
            eprint!(".");
            let mut still_able = Vec::new();
            for name in able {
                if let Some(report) = self.turn(name, task)? {
                    self.results.add(task, name, round, &report);
                    still_able.push(name);
                }
            }
            // The order rotates, so that no contender always follows the same one.
            let next = usize::from(still_able.len() > 1);
            still_able.rotate_left(next);
            able = still_able;
        }
        Ok(())
    }

    /// Runs one turn. Returns `None` if the contender can't do the work. A contender that fails is
    /// omitted from then on.
    fn turn(&mut self, name: &'static str, task: &Task) -> Result<Option<Report>> {
        let Some(process) = self.running.get_mut(name) else { return Ok(None) };
        match process.order(task) {
            Ok(Done::Report(report)) => Ok(Some(report)),
            Ok(Done::Cannot(why)) => {
                self.results.note_cannot(task, name, &why);
                Ok(None)
            }
            Err(error) => {
                interrupt::check()?;
                self.running.remove(name);
                let why = format!("failed at {} {}: {error}", task.work, task.placement);
                self.results.leave_out(name, &why);
                Ok(None)
            }
        }
    }

    /// Measures idle clients once per contender, with a new server, because a used server would
    /// reuse its memory.
    fn idle(&mut self, entries: &[&'static Entry], task: &Task, pace: &Pace) -> Result<()> {
        for entry in entries.iter().filter(|entry| self.running.contains_key(entry.name)) {
            if pace.is_over() {
                self.results.note_cannot(task, entry.name, "no time was left for it");
                continue;
            }
            let order = |mut process: Process| process.order(task);
            match Process::ready(entry, entry.name, self.folder.path()).and_then(order) {
                Ok(Done::Report(report)) => {
                    eprint!(".");
                    self.results.add(task, entry.name, 0, &report);
                }
                Ok(Done::Cannot(why)) => self.results.note_cannot(task, entry.name, &why),
                Err(error) => {
                    interrupt::check()?;
                    let why = format!("it failed: {error}");
                    eprintln!("\n*** {} at {}: {why} ***", entry.name, task.work);
                    self.results.note_cannot(task, entry.name, &why);
                }
            }
        }
        Ok(())
    }
}

/// Returns these contenders and the floors to which they are compared.
///
/// # Errors
/// The errors of running cargo.
pub(crate) fn with_floors(
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

/// A call that takes longer than this is measured once.
const SLOW_NS: f64 = 1e9;

/// Time to warm up. After it, buffers are allocated, pages are mapped, and the processor runs at
/// full speed.
const WARM_MS: u64 = 20;

/// Minimum number of rounds for an estimate of the scatter.
const ROUNDS_MIN: usize = 3;
