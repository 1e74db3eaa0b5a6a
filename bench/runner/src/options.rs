//! The command line options.

use std::path::PathBuf;
use std::time::Duration;

use bench_harness::{Placement, Result, Work};

use crate::contenders::{self, Entry};

/// The command line options.
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
    /// Whether to update the documents.
    pub(crate) write: bool,
    /// Time limit in minutes.
    pub(crate) limit: Option<f64>,
}

/// The subcommand.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    Contest,
    Build,
    Ladder,
    Growth,
    Compare { old: PathBuf, new: PathBuf },
    Count { accept: bool },
    Help,
}

pub(crate) const HELP: &str = "\
cargo xtask bench [OPTIONS]            everything: the contenders' workloads, the ladder, the
                                       probes, growth; in ten minutes, once it is built
cargo xtask bench --write              the same, and writes docs/performance and the README's
                                       table; waits for an idle machine
cargo xtask bench build                builds all programs without a measurement
cargo xtask bench ladder               the cost of each layer of syshandle, and of each probe
cargo xtask bench growth [--quick]     how time and memory grow, with a check of each curve
cargo xtask bench compare OLD NEW      the changes between two results (JSON)
cargo xtask bench count [--accept]     instructions of a call, against bench/instructions.txt

  --quick               everything in two minutes (once it is built), with wider scatter
  --only NAME,…         only these contenders and their floors
  --work WORK,…         only these workloads: w1 w2 w3 w4-N w4p-N w4o-N w5-BYTES w6 cold idle-N
  --placement P,…       only these: same (one core), free, split (one core each)
  --rounds N            number of turns of each contender
  --ms N                length of one turn
  --limit MINUTES       time limit of the whole run: 11, or 2 with --quick; longer work is cut
  --out FOLDER          folder of the results, instead of bench/results
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
            write: false,
            limit: None,
        };
        let mut words = arguments.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word}: what?\n\n{HELP}"));
            match word {
                "--quick" => {}
                "--only" => options.only = Some(list(value()?)?),
                "--work" => options.work = Some(list(value()?)?),
                "--placement" => options.placements = Some(list(value()?)?),
                "--write" => options.write = true,
                "--limit" => options.limit = Some(value()?.parse()?),
                "--rounds" => options.rounds = value()?.parse()?,
                "--ms" => options.ms = value()?.parse()?,
                "--out" => options.out = value()?.into(),
                "build" => options.command = Command::Build,
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
        if options.write && !(options.is_whole() && matches!(options.command, Command::Contest)) {
            return Err("--write needs a whole run, with all contenders and workloads".into());
        }
        Ok(options)
    }

    /// Returns whether all contenders run all work.
    pub(crate) fn is_whole(&self) -> bool {
        self.only.is_none() && self.work.is_none() && self.placements.is_none()
    }

    /// Returns the time limit.
    pub(crate) fn limit(&self) -> Duration {
        let usual = if self.quick { 2.0 } else { 11.0 };
        Duration::from_secs_f64(self.limit.unwrap_or(usual).clamp(0.1, LIMIT_MAX) * 60.0)
    }

    /// Returns the selected contenders.
    pub(crate) fn contenders(&self) -> Result<Vec<&'static Entry>> {
        match &self.only {
            None => Ok(contenders::ALL.iter().collect()),
            Some(names) => names.iter().map(|name| contenders::named(name)).collect(),
        }
    }

    /// Returns whether this run includes the ladder and the probes.
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

/// Maximum time limit in minutes: a day.
const LIMIT_MAX: f64 = 24.0 * 60.0;

/// Maximum number of rounds.
const ROUNDS_MAX: usize = 100;

/// Maximum length of a turn. A longer one would show nothing new.
const MS_MAX: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options> {
        Options::read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_parsed() {
        let options = read("--quick --only zbus,syshandle --work w1,w4-64 --rounds 5").unwrap();
        assert!(options.quick && !options.is_whole());
        assert_eq!(options.work.as_deref(), Some(&[Work::Null, Work::Clients(64)][..]));
        assert_eq!((options.rounds, options.ms), (5, 50));
        assert_eq!(options.limit(), Duration::from_secs(120));
        assert_eq!(read("--limit 0.5").unwrap().limit(), Duration::from_secs(30));
        let compare = read("compare a.json b.json").unwrap();
        assert!(matches!(compare.command, Command::Compare { .. }));
    }

    #[test]
    fn unknown_options_are_refused() {
        for line in ["--rounds", "--rounds x", "--work w9", "compare a.json", "frobnicate"] {
            assert!(read(line).is_err(), "{line}");
        }
        assert!(read("--only nobody").unwrap().contenders().is_err());
    }

    #[test]
    fn only_a_whole_run_is_published() {
        assert!(read("--write").unwrap().write);
        assert!(read("--quick --write").unwrap().write);
        for line in ["--write --only zbus", "--write --work w1", "ladder --write"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
