//! Runs the contenders in turn, and prints their results.
//!
//! All contenders are alive at the same time. In each round, each contender does the same work for
//! a short time, one after the other. Other load on the machine affects all contenders equally, so
//! the *ratios* within a round are reliable even if the times are not.
//!
//! Reading order: `options` parses the command line. `contenders` lists the contenders, and `plan`
//! their tasks. `contest` runs the tasks, and `growth` runs them with increasing counts, both at
//! the `pace` that the time limit allows. `results` stores the results. `noise` estimates their
//! uncertainty, and `linear` checks their growth. `tables`, `goals`, `plots` and `compare` present
//! them, and `publish` writes them to the documents.

#![forbid(unsafe_code)]

mod build;
mod chart;
mod compare;
mod contenders;
mod contest;
mod count;
mod goals;
mod growth;
mod interrupt;
mod linear;
mod machine;
mod noise;
mod options;
mod pace;
mod plan;
mod plots;
mod process;
mod publish;
mod results;
mod rungs;
mod tables;
mod versions;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bench_harness::Result;

use crate::options::{Command, Options};
use crate::pace::{Pace, minutes};
use crate::results::Results;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = Options::read(&arguments).and_then(|options| run(&options));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    match &options.command {
        Command::Help => print!("{}", options::HELP),
        Command::Compare { old, new } => {
            print!("{}", compare::table(&Results::load(old)?, &Results::load(new)?));
        }
        Command::Count { accept } => {
            count::check(*accept)?;
        }
        Command::Build => {
            let mut results = Results::of_this_machine(options);
            build::build(&options.contenders()?, &mut results)?;
        }
        Command::Contest => measure(options, Parts { contest: true, ..Parts::of(options) })?,
        Command::Ladder => measure(options, Parts { contest: false, rungs: true, growth: false })?,
        Command::Growth => measure(options, Parts { contest: false, rungs: false, growth: true })?,
    }
    Ok(())
}

/// The selected parts of the benchmark.
#[derive(Clone, Copy, Debug)]
struct Parts {
    contest: bool,
    rungs: bool,
    growth: bool,
}

impl Parts {
    fn of(options: &Options) -> Self {
        Self { contest: true, rungs: options.wants_rungs(), growth: options.is_whole() }
    }

    /// Returns the name of the result files.
    fn name(self) -> &'static str {
        match self {
            Self { contest: true, .. } => "results",
            Self { rungs: true, .. } => "ladder",
            Self { .. } => "growth",
        }
    }
}

/// Runs the measurements, prints and saves the results, and with `--write` updates the documents.
fn measure(options: &Options, parts: Parts) -> Result<()> {
    interrupt::watch()?;
    let folder = machine::Folder::make()?;
    // The load is read before the builds increase it.
    let mut results = Results::of_this_machine(options);
    let tasks = if parts.contest { plan::tasks(options) } else { Vec::new() };
    let mut entries = Vec::new();
    eprintln!("building what isn't built yet …");
    if parts.contest {
        let built = build::build(&options.contenders()?, &mut results)?;
        entries = contest::with_floors(&built, &tasks, &mut results)?;
    } else {
        build::build(&growth::entries()?, &mut results)?;
    }
    interrupt::check()?;
    if options.write {
        results.load = machine::wait_until_idle()?;
    }
    let mut steps: Vec<Duration> = tasks.iter().map(|task| task.estimate(entries.len())).collect();
    steps.extend(parts.rungs.then_some(rungs::TIME));
    steps.extend(parts.growth.then(|| growth::estimates(options)).into_iter().flatten());
    let mut pace = Pace::new(options.limit(), steps);
    eprintln!(
        "it takes some {}, and no more than {}",
        minutes(pace.estimate()),
        minutes(options.limit())
    );
    if parts.contest {
        contest::run(&tasks, &entries, &folder, &mut results, &mut pace)?;
    }
    if parts.rungs {
        pace.begin("the ladder and the probes");
        rungs::climb(&folder, &mut results)?;
        pace.end();
    }
    if parts.growth {
        growth::grow(options, &folder, &mut results, &mut pace)?;
    }
    drop(folder);
    show(&results, &options.out, parts.name())?;
    if options.write {
        for path in publish::publish(&results)? {
            println!("written: {}", path.display());
        }
    }
    for (name, why) in &results.left_out {
        eprintln!("*** {name} was left out: {why} ***");
    }
    match growth::verdicts(&results) {
        (_, true) => Ok(()),
        (text, false) => Err(format!("something grows worse than it should:\n{text}").into()),
    }
}

/// Prints the tables, and writes them with the numbers and the plots.
fn show(results: &Results, out: &Path, name: &str) -> Result<()> {
    let text = tables::page(results);
    print!("{text}");
    std::fs::create_dir_all(out)?;
    results.save(&out.join(format!("{name}.json")))?;
    std::fs::write(out.join(format!("{name}.md")), text)?;
    for (name, svg) in plots::all(results) {
        std::fs::write(out.join(format!("{name}.svg")), svg)?;
    }
    println!("\nWritten to {}.", out.display());
    Ok(())
}
