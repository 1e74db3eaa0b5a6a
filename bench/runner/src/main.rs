//! Has the contenders take turns, and shows what it took them.
//!
//! All contenders are alive at once; in each round each does the same work for a moment, one after
//! the other. What else the machine does meanwhile hits all alike, so the *ratios* of one round
//! can be trusted where its times can't.
//!
//! Reading order: `options` says what is asked for, `contenders` who there is, `plan` what they
//! do, `contest` has them do it and `growth` with more and more of something, at the `pace` that
//! the time allows; `results` keeps it, `noise` says what of it is chance, `linear` what of it
//! grows too fast; `tables`, `goals`, `plots` and `compare` show it, and `publish` writes it where
//! people read it.

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
            count::check(*accept, &mut Results::of_this_machine(options))?;
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

/// What is measured.
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

    /// What the files of the results are called.
    fn name(self) -> &'static str {
        match self {
            Self { contest: true, .. } => "results",
            Self { rungs: true, .. } => "ladder",
            Self { .. } => "growth",
        }
    }
}

/// Measures, shows, and keeps what came out; with `--write` also where people read it.
fn measure(options: &Options, parts: Parts) -> Result<()> {
    interrupt::watch()?;
    let folder = machine::Folder::make()?;
    // The load of before, not of the builds that come now.
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

/// Prints the tables, and writes them beside the plain numbers and the plots.
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
