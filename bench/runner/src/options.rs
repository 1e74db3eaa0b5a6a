//! What is asked for.

use std::path::PathBuf;

use bench_harness::{Placement, Result, Work};

use crate::contenders::{self, Entry};

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) command: Command,
    pub(crate) quick: bool,
    pub(crate) only: Option<Vec<String>>,
    pub(crate) work: Option<Vec<Work>>,
    pub(crate) placements: Option<Vec<Placement>>,
    pub(crate) rounds: usize,
    pub(crate) ms: u64,
    pub(crate) out: PathBuf,
}

/// Which of its things the benchmark does.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Contest,
    Ladder,
    Growth,
    Compare { old: PathBuf, new: PathBuf },
    Count { accept: bool },
    Help,
}

pub(crate) const HELP: &str = "\
cargo xtask bench [OPTIONS]            the contenders at their work, then the ladder and the probes
cargo xtask bench ladder               what each layer of syshandle costs
cargo xtask bench growth [--quick]     how time and memory grow
cargo xtask bench compare OLD NEW      what changed between two results (JSON)
cargo xtask bench count [--accept]     instructions of a call, against bench/instructions.txt

  --quick               everything in two minutes (once it is built), with wider scatter
  --only NAME,…         only these contenders, and the floors that they are compared with
  --work WORK,…         only this work: w1 w2 w3 w4-N w4p-N w5-BYTES w6 cold idle-N
  --placement P,…       only these: same (one core), free, split (one core each)
  --rounds N            how often each takes its turn
  --ms N                how long one turn is
  --out FOLDER          where the results go, instead of bench/results
";

impl Options {
    pub(crate) fn read(arguments: &[String]) -> Result<Self> {
        let quick = arguments.iter().any(|argument| argument == "--quick");
        let mut options = Self {
            command: Command::Contest,
            quick,
            only: None,
            work: None,
            placements: None,
            rounds: if quick { 3 } else { 7 },
            ms: if quick { 50 } else { 250 },
            out: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../results"),
        };
        let mut words = arguments.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word}: what?\n\n{HELP}"));
            match word {
                "--quick" => {}
                "--only" => options.only = Some(list(value()?)?),
                "--work" => options.work = Some(list(value()?)?),
                "--placement" => options.placements = Some(list(value()?)?),
                "--rounds" => options.rounds = value()?.parse()?,
                "--ms" => options.ms = value()?.parse()?,
                "--out" => options.out = value()?.into(),
                "ladder" => options.command = Command::Ladder,
                "count" => options.command = Command::Count { accept: false },
                "--accept" => options.command = Command::Count { accept: true },
                "growth" => options.command = Command::Growth,
                "compare" => {
                    options.command =
                        Command::Compare { old: value()?.into(), new: words_next(&mut words)? };
                }
                "help" | "--help" | "-h" => options.command = Command::Help,
                other => return Err(format!("what is `{other}`?\n\n{HELP}").into()),
            }
        }
        options.rounds = options.rounds.clamp(1, ROUNDS_MAX);
        options.ms = options.ms.clamp(1, MS_MAX);
        Ok(options)
    }

    /// Those who take part.
    pub(crate) fn contenders(&self) -> Result<Vec<&'static Entry>> {
        match &self.only {
            None => Ok(contenders::ALL.iter().collect()),
            Some(names) => names.iter().map(|name| contenders::named(name)).collect(),
        }
    }

    /// Whether the ladder and the probes belong to this run.
    pub(crate) fn wants_rungs(&self) -> bool {
        let ours = |names: &Vec<String>| names.iter().any(|name| name == "syshandle");
        self.work.is_none() && self.only.as_ref().is_none_or(ours)
    }
}

fn words_next<'w>(words: &mut impl Iterator<Item = &'w str>) -> Result<PathBuf> {
    Ok(words.next().ok_or_else(|| format!("compare takes two results\n\n{HELP}"))?.into())
}

fn list<T: std::str::FromStr<Err: ToString>>(text: &str) -> Result<Vec<T>> {
    let parsed =
        text.split(',').map(|word| word.parse().map_err(|error: T::Err| error.to_string()));
    Ok(parsed.collect::<Result<_, String>>()?)
}

/// Enough for any scatter.
const ROUNDS_MAX: usize = 100;

/// A turn longer than that shows nothing more.
const MS_MAX: u64 = 10_000;
