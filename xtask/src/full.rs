//! `cargo xtask full`: runs the checks that take too long to be run for every change.

use std::fs::{self, File};
use std::io;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::workspace::{root, write_part};

const HELP: &str = "\
cargo xtask full            all long checks, some hours; writes the result to docs/testing.md
cargo xtask full --short    the same checks in their short forms; only prints the result
cargo xtask full --only NAME[,NAME]    some of them, in either form; only prints the result
";

/// A check that takes too long for CI.
struct Part {
    name: &'static str,
    what: &'static str,
    /// The arguments for Cargo.
    full: &'static [&'static str],
    short: &'static [&'static str],
    /// Whether the full form sets the environment variable `SYSHANDLE_TEST_FORM`.
    sets_form: bool,
}

const PARTS: [Part; 4] = [
    Part {
        name: "faults",
        what: "hostile peers, failures at every system call, signals, load, mutated inputs",
        full: &["xtask", "faults"],
        short: &["xtask", "faults", "--short"],
        sets_form: false,
    },
    Part {
        name: "interleavings",
        what: "the client and the server in many orders of their threads' steps",
        full: &["test", "--release", "--package", "syshandle", "--lib", "interleavings"],
        short: &["test", "--package", "syshandle", "--lib", "interleavings"],
        sets_form: true,
    },
    Part {
        name: "growth",
        what: "time and memory against the number of clients, handles, waits, classes, methods",
        full: &["xtask", "bench", "growth"],
        short: &["xtask", "bench", "growth", "--quick", "--limit", "2"],
        sets_form: false,
    },
    Part {
        name: "sanitizers",
        what: "the address, leak and thread sanitizers",
        full: &["xtask", "sanitize"],
        short: &["xtask", "sanitize", "address", "--short"],
        sets_form: false,
    },
];

/// The result of a part.
struct Outcome {
    part: &'static Part,
    passed: bool,
    time: Duration,
    /// The output lines that report skipped tests, without duplicates.
    skipped: Vec<String>,
}

pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let (mut is_short, mut only) = (false, Vec::new());
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--short" => is_short = true,
            "--only" => only.extend(words.next().unwrap_or_default().split(',')),
            _ => only.push(""),
        }
    }
    if !only.iter().all(|name| PARTS.iter().any(|part| part.name == *name)) {
        eprint!("{HELP}");
        return ExitCode::from(2);
    }
    let chosen = |part: &&Part| only.is_empty() || only.contains(&part.name);
    let outcomes = PARTS.iter().filter(chosen).map(|part| run_part(part, is_short));
    let done = outcomes.collect::<io::Result<Vec<_>>>().and_then(|outcomes| {
        let table = table(&outcomes, is_short)?;
        print!("\n{table}");
        if !is_short && only.is_empty() {
            write_part(&root().join("docs/testing.md"), "full", &table)?;
        }
        Ok(outcomes.iter().all(|outcome| outcome.passed))
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("full: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a part and writes its output to a file.
fn run_part(part: &'static Part, is_short: bool) -> io::Result<Outcome> {
    let folder = root().join("target/full");
    fs::create_dir_all(&folder)?;
    let log = folder.join(format!("{}.log", part.name));
    println!("== {}: its output is in {}", part.name, log.display());
    let output = File::create(&log)?;
    let mut command = crate::cargo::cargo();
    command.args(if is_short { part.short } else { part.full }).current_dir(root());
    if part.sets_form && !is_short {
        command.env("SYSHANDLE_TEST_FORM", "full");
    }
    let start = Instant::now();
    let status =
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).status()?;
    let time = start.elapsed();
    let said = if status.success() { "passed" } else { "FAILED" };
    println!("== {}: {said} after {} s", part.name, time.as_secs());
    let text = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    Ok(Outcome { part, passed: status.success(), time, skipped: skipped(&text) })
}

/// Returns the output lines that report skipped tests, without duplicates.
fn skipped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| line.contains("skipped: ")) {
        if !lines.iter().any(|before| before == line) {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// Formats the results as a Markdown table.
fn table(outcomes: &[Outcome], is_short: bool) -> io::Result<String> {
    let said = |program: &str, arguments: &[&str]| -> io::Result<String> {
        let output = Command::new(program).args(arguments).current_dir(root()).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let date = said("date", &["-u", "+%Y-%m-%d"])?;
    let commit = said("git", &["rev-parse", "--short=12", "HEAD"])?;
    let is_changed = !said("git", &["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    let kernel = said("uname", &["-r"])?;
    let form = if is_short { "short" } else { "full" };
    let changed = if is_changed { " with changes" } else { "" };
    let mut text = format!(
        "Last run in its {form} form: {date}, commit `{commit}`{changed}, Linux {kernel}.\n\n\
         | check | what | result | time |\n|---|---|---|---|\n"
    );
    for Outcome { part, passed, time, .. } in outcomes {
        let result = if *passed { "passed" } else { "**failed**" };
        let minutes = time.as_secs().div_ceil(60);
        text += &format!("| `{}` | {} | {result} | {minutes} min |\n", part.name, part.what);
    }
    for Outcome { part, skipped, .. } in outcomes {
        for line in skipped {
            text += &format!("\n- `{}`: {line}", part.name);
        }
    }
    if outcomes.iter().any(|outcome| !outcome.skipped.is_empty()) {
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_tests_are_listed_once() {
        let text = "a\nskipped: no fuse\n  skipped: no fuse\n== thread: skipped: no compiler\n";
        assert_eq!(skipped(text), ["skipped: no fuse", "== thread: skipped: no compiler"]);
    }
}
