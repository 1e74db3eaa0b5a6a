//! Commands for developing syshandle. `cargo xtask help` lists them.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "commands that talk to people")]

mod api;
mod bench;
mod cargo;
mod checks;
mod demo;
mod faults;
mod full;
mod prose;
mod weight;
mod workspace;

use std::process::ExitCode;

const HELP: &str = "\
cargo demo [-- FILE]      performs the sample on a file and prints its timeline
cargo xtask api           how the public API differs from docs/public-api.txt; `--accept` writes that file
cargo xtask bench         syshandle beside the floors and its peers: `cargo xtask bench --help`
cargo xtask blocked       the latency of a client while 180 methods of others block; fails above 2 ms
cargo xtask faults        hostile peers, failures, load; `--short` for a few minutes of it
cargo xtask sanitize      tests under sanitizers: `cargo xtask sanitize --help`
cargo xtask deadlines     how late calls end after their deadline, on an idle machine
cargo xtask full          all long checks; `--short` for their short forms
cargo xtask miri          the tests of the crates without I/O in Miri, where it is installed
cargo xtask prose         habits of unclear English in comments, documents, strings and names of tests
cargo xtask weight        size, build time and dependencies of small programs, beside the peers'; `--write`
cargo xtask help          this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--").collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    match command {
        "api" => api::run(rest),
        "demo" => demo::run(rest),
        "bench" => bench::run(rest),
        "blocked" => checks::blocked(),
        "faults" => faults::run(rest),
        "sanitize" => checks::sanitize(rest),
        "miri" => checks::miri(rest),
        "deadlines" => checks::deadlines(),
        "prose" => prose::run(rest),
        "full" => full::run(rest),
        "weight" => weight::run(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        other => {
            eprint!("there is no command `{other}`\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}
