//! `cargo demo`: builds the sample, registers its server in a temporary registry, runs the client
//! on a file, and prints the timeline.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use stage::Stage;

#[cfg_attr(windows, path = "demo/windows.rs")]
#[cfg_attr(not(windows), path = "demo/linux.rs")]
mod stage;

/// Runs the demo on the given file, or on a temporary one.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let file = match arguments {
        [] => None,
        [file] => Some(PathBuf::from(file)),
        _ => {
            eprintln!("at most one file: cargo demo -- dishes.txt");
            return ExitCode::from(2);
        }
    };
    match demo(file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo(file: Option<PathBuf>) -> io::Result<()> {
    let programs = build()?;
    let stage = Stage::new(programs)?;
    let file = file.unwrap_or_else(|| stage.folder.path().join("dishes.txt"));

    println!("$ syshandle register {}", stage.programs.display());
    let variable = format!("SPARKLE_TIMELINE={}", stage.timeline().display());
    let path = stage.programs.as_os_str().to_owned();
    stage.run("syshandle", &["register".into(), path, "--env".into(), variable.into()])?;
    println!("\n$ sparkle-client {}", file.display());
    let ran = stage.run("sparkle-client", &[file.clone().into()]);
    let ended = stage.wait_for_server();
    ran?;

    println!("\n$ cat {}", file.display());
    print!("{}", String::from_utf8_lossy(&fs::read(&file)?));
    println!("\nThe steps with their times, in microseconds since the first step:\n");
    print!("{}", table(&fs::read_to_string(stage.timeline())?));
    println!("\n$ syshandle clean {}", stage.programs.display());
    stage.run("syshandle", &["clean".into(), stage.programs.as_os_str().to_owned()])?;
    ended
}

/// Builds the programs and returns their folder.
fn build() -> io::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--release",
            "--package",
            "sparkle",
            "--package",
            "syshandle-cli",
        ])
        .status()?;
    if !built.success() {
        return Err(io::Error::other("the sample doesn't build"));
    }
    // Cargo puts this program in the same folder.
    let own = std::env::current_exe()?;
    Ok(own.parent().unwrap_or(Path::new(".")).to_owned())
}

/// Formats the notes as a table with two columns.
fn table(notes: &str) -> String {
    let mut rows: Vec<(u128, &str, &str)> = notes
        .lines()
        .filter_map(|line| {
            let (time, rest) = line.split_once(' ')?;
            let (side, step) = rest.split_once(' ')?;
            Some((time.parse().ok()?, side, step))
        })
        .collect();
    rows.sort_by_key(|row| row.0);
    let start = rows.first().map_or(0, |row| row.0);
    let mut table = format!("{:>9}  {:<26}{}\n", "µs", "client", "server");
    for (time, side, step) in rows {
        let time = (time - start) as f64 / 1000.0;
        let (client, server) = if side == "client" { (step, "") } else { ("", step) };
        table += format!("{time:>9.1}  {client:<26}{server}").trim_end();
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_rows_of_both_sides_in_order_of_time() {
        let table = table("2500 server two\n1000 client one\nrubbish\n");
        let rows: Vec<_> =
            table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(rows, [vec!["µs", "client", "server"], vec!["0.0", "one"], vec!["1.5", "two"]]);
    }
}
