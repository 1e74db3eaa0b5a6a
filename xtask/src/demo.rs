//! `cargo demo`: builds the sample, registers its server in a temporary registry, runs the client
//! on a file, and prints a timeline of both programs.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

#[cfg(not(windows))]
mod linux;
#[cfg(windows)]
mod windows;

#[cfg(not(windows))]
use linux as sys;
#[cfg(windows)]
use windows as sys;

/// Runs the demo with the given file, or with a temporary one.
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
    let environment = DemoEnvironment::new(programs)?;
    let file = file.unwrap_or_else(|| environment.folder.path().join("dishes.txt"));

    println!("$ syshandle register {}", environment.programs.display());
    let variable = format!("SPARKLE_TIMELINE={}", environment.timeline().display());
    let path = environment.programs.as_os_str().to_owned();
    environment.run("syshandle", &["register".into(), path, "--env".into(), variable.into()])?;
    println!("\n$ sparkle-client {}", file.display());
    let ran = environment.run("sparkle-client", &[file.clone().into()]);
    let ended = environment.wait_for_server();
    ran?;

    println!("\n$ cat {}", file.display());
    print!("{}", String::from_utf8_lossy(&fs::read(&file)?));
    println!("\nThe steps with their times, in microseconds since the first step:\n");
    print!("{}", table(&fs::read_to_string(environment.timeline())?));
    println!("\n$ syshandle clean {}", environment.programs.display());
    environment.run("syshandle", &["clean".into(), environment.programs.as_os_str().to_owned()])?;
    ended
}

/// The files and environment variables of the demo. The files are removed at the end.
struct DemoEnvironment {
    folder: TempDir,
    /// The folder that contains the programs.
    programs: PathBuf,
}

impl DemoEnvironment {
    fn new(programs: PathBuf) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("syshandle-demo-").tempdir()?;
        sys::prepare(folder.path())?;
        Ok(Self { folder, programs })
    }

    /// Returns the path of the file to which both programs append their steps.
    fn timeline(&self) -> PathBuf {
        self.folder.path().join("timeline")
    }

    /// Runs a program with the demo's environment variables.
    fn run(&self, program: &str, arguments: &[OsString]) -> io::Result<()> {
        let status = Command::new(self.programs.join(program))
            .args(arguments)
            .envs(sys::variables(self.folder.path()))
            .env("SPARKLE_TIMELINE", self.timeline())
            .status()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("{program}: {status}"))),
        }
    }

    /// Waits until the server has ended because it is idle.
    fn wait_for_server(&self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if sys::has_server_ended(self.folder.path(), &self.timeline()) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other("the server has not ended"))
    }
}

/// Builds the programs and returns the folder that contains them.
fn build() -> io::Result<PathBuf> {
    let built = crate::cargo::cargo()
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
    // Cargo writes the programs to the same folder as this program.
    let own = std::env::current_exe()?;
    Ok(own.parent().unwrap_or(Path::new(".")).to_owned())
}

/// Formats the recorded steps as a table with one column per program.
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
