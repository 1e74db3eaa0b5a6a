//! Counts the instructions of a call with valgrind. The counts don't depend on the load of the
//! machine, because the counted program judges nothing by its time.
//!
//! The counts are stored in `bench/instructions.txt`. If a change makes a call longer or shorter by
//! more than the tolerance, the check fails until `--accept` updates the file.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bench_harness::Result;

use crate::contenders;

/// Counts instructions, and compares them with the file or updates the file.
///
/// # Errors
/// Valgrind isn't installed, or a count differs from the file.
pub(crate) fn check(accept: bool) -> Result<()> {
    let program = crate::build::build_untimed(contenders::named("syshandle")?)?;
    let mut counts = BTreeMap::new();
    for (work, calls) in WORKS {
        let (few, many) = (least(&program, work, FEW)?, least(&program, work, FEW + calls)?);
        counts.insert(work.to_owned(), many.saturating_sub(few) / calls);
    }
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../instructions.txt");
    if accept {
        std::fs::write(&file, write(&counts))?;
        println!("{}written to {}", write(&counts), file.display());
        return Ok(());
    }
    compare(&read(&std::fs::read_to_string(&file)?), &counts)
}

/// Prints the change of each count.
///
/// # Errors
/// A count has changed by more than the tolerance.
fn compare(kept: &BTreeMap<String, u64>, counts: &BTreeMap<String, u64>) -> Result<()> {
    let mut changed = false;
    for (work, count) in counts {
        let before = *kept.get(work).unwrap_or(&0);
        let change = (*count as f64 / before.max(1) as f64 - 1.0) * 100.0;
        let within = change.abs() <= TOLERANCE_PERCENT;
        println!("{work}: {count} instructions a call, {before} in the file, {change:+.1} %");
        changed |= !within;
    }
    match changed {
        false => Ok(()),
        true => Err(format!(
            "a count has changed by more than {TOLERANCE_PERCENT} %: if that is meant, run \
             `cargo xtask bench count --accept` and commit bench/instructions.txt"
        )
        .into()),
    }
}

/// Returns the lowest count of several runs. Other programs on the cores make threads wait more
/// often, which can only add instructions.
fn least(program: &Path, work: &str, calls: u64) -> Result<u64> {
    let mut least = u64::MAX;
    for _ in 0..RUNS {
        least = least.min(count(program, work, calls)?);
    }
    Ok(least)
}

/// Returns the instructions of a whole run with `calls` calls.
fn count(program: &Path, work: &str, calls: u64) -> Result<u64> {
    let out = std::env::temp_dir().join(format!("syshandle-count-{}", std::process::id()));
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(["client", &format!("count-{work}-{calls}")])
        // Polling is turned off, because the number of polls before a thread sleeps depends on the
        // load.
        .env("SYSHANDLE_SPIN", "0")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind can't be run, and it counts: {error}"))?;
    let text = std::fs::read_to_string(&out).unwrap_or_default();
    let _ = std::fs::remove_file(&out);
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    match total.and_then(|total| total.trim().parse().ok()) {
        Some(total) if output.status.success() => Ok(total),
        _ => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

fn read(text: &str) -> BTreeMap<String, u64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let counts = lines.filter_map(|line| {
        let (work, count) = line.split_once(' ')?;
        Some((work.to_owned(), count.parse().ok()?))
    });
    counts.collect()
}

fn write(counts: &BTreeMap<String, u64>) -> String {
    let mut text = format!(
        "# Instructions of one call, both sides, beyond the kernel. `cargo xtask bench count` compares,\n\
         # and takes {TOLERANCE_PERCENT} % for the same; `--accept` writes this file.\n"
    );
    for (work, count) in counts {
        let _ = writeln!(text, "{work} {count}");
    }
    text
}

/// The counted work and the number of calls: a null call; a call with a file and an event whose
/// event is returned; the whole timeline; a connection through a door with one null call.
const WORKS: [(&str, u64); 4] =
    [("null", 5_000), ("handles", 5_000), ("sparkle", 5_000), ("connect", 1_500)];

/// Number of runs, of which the lowest count is used.
const RUNS: u32 = 2;

/// Number of calls in the run that is subtracted, to exclude constant costs such as the start.
const FEW: u64 = 500;

/// Tolerance of a count, in percent. Threads that wait for each other execute a few instructions more
/// or fewer, depending on their order.
const TOLERANCE_PERCENT: f64 = 3.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(null: u64) -> BTreeMap<String, u64> {
        BTreeMap::from([("null".to_owned(), null)])
    }

    #[test]
    fn the_file_is_read_as_it_is_written() {
        assert_eq!(read(&write(&counts(5000))), counts(5000));
    }

    #[test]
    fn a_change_is_told_in_either_direction_and_so_is_a_new_count() {
        assert!(compare(&counts(5000), &counts(5140)).is_ok());
        assert!(compare(&counts(5000), &counts(5160)).is_err());
        assert!(compare(&counts(5000), &counts(4840)).is_err());
        assert!(compare(&BTreeMap::new(), &counts(5000)).is_err());
    }
}
