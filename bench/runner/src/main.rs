//! Has the contenders take turns, and shows what it took them.
//!
//! All contenders are alive at once; in each round each does the same work for a moment, one after
//! the other. What else the machine does meanwhile hits all alike, so the *ratios* of one round
//! can be trusted where its times can't.
//!
//! Reading order: `options` says what is asked for, `contenders` who there is, `plan` what they
//! do, `contest` has them do it; `results` keeps it, and `tables`, `plots` and `compare` show it.

#![forbid(unsafe_code)]

mod build;
mod chart;
mod compare;
mod contenders;
mod contest;
mod count;
mod growth;
mod machine;
mod options;
mod plan;
mod plots;
mod process;
mod results;
mod rungs;
mod tables;

use std::path::Path;
use std::process::ExitCode;

use bench_harness::Result;

use crate::options::{Command, Options};
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
        Command::Contest => {
            let folder = machine::Folder::make()?;
            let mut results = Results::of_this_machine(options);
            let contenders = build::build(&options.contenders()?, &mut results)?;
            contest::run(options, &contenders, &folder, &mut results)?;
            if options.wants_rungs() {
                rungs::climb(&folder, &mut results)?;
            }
            show(&results, &options.out, "results")?;
        }
        Command::Ladder => {
            let folder = machine::Folder::make()?;
            let mut results = Results::of_this_machine(options);
            build::build(&[contenders::named("syshandle")?], &mut results)?;
            rungs::climb(&folder, &mut results)?;
            show(&results, &options.out, "ladder")?;
        }
        Command::Growth => {
            let folder = machine::Folder::make()?;
            let mut results = Results::of_this_machine(options);
            growth::grow(options, &folder, &mut results)?;
            show(&results, &options.out, "growth")?;
        }
    }
    Ok(())
}

/// Prints the tables, and writes them beside the plain numbers and the plots.
fn show(results: &Results, out: &Path, name: &str) -> Result<()> {
    let text = tables::all(results);
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
