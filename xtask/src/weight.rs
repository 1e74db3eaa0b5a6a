//! `cargo xtask weight`: measures "hello" programs that use syshandle or a comparable library.
//!
//! The programs are in `bench/weight`. Each is built from scratch, with its own dependencies, the
//! default release profile and no symbols.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::workspace::{root, write_part};

const HELP: &str = "\
cargo xtask weight              builds the programs and prints the table of docs/weight.md
cargo xtask weight --write      writes the table to docs/weight.md as well
cargo xtask weight --sizes      builds only what has changed, and writes the table without times
";

/// The measured libraries, which are also the names of their folders in `bench/weight`.
const LIBRARIES: [&str; 5] = ["syshandle", "zbus", "zlink", "rsbinder", "ipc-channel"];

/// Maximum load before the run with which the time on the clock is still meaningful.
const IDLE_LOAD_MAX: f64 = 0.5;

pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let (write, timed) = match arguments {
        [] => (false, true),
        [option] if option == "--write" => (true, true),
        [option] if option == "--sizes" => (true, false),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match measure_all(timed).and_then(|text| if write { publish(&text) } else { Ok(text) }) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The measurements of one library.
struct Weight {
    version: String,
    client_bytes: u64,
    server_bytes: u64,
    linked: usize,
    compiled: usize,
    seconds: f64,
    cpu_seconds: f64,
}

fn measure_all(timed: bool) -> Result<String, String> {
    let load = first_word(Path::new("/proc/loadavg"));
    let is_busy = load.parse().is_ok_and(|load: f64| load > IDLE_LOAD_MAX);
    let mut rows = String::new();
    for library in LIBRARIES {
        eprintln!("building the programs of {library}");
        let weight = measure(library, timed)?;
        let time = |is_known: bool, seconds: f64| match is_known {
            true => format!("{seconds:.0} s"),
            false => "–".to_owned(),
        };
        let cpu = time(timed, weight.cpu_seconds);
        let clock = time(timed && !is_busy, weight.seconds);
        rows += &format!(
            "| {library} {} | {} KiB | {} KiB | {} | {} | {cpu} | {clock} |\n",
            weight.version,
            weight.client_bytes.div_ceil(1024),
            weight.server_bytes.div_ceil(1024),
            weight.linked,
            weight.compiled,
        );
        // A row isn't lost if a later library fails.
        eprint!("{}", rows.lines().last().map(|row| format!("{row}\n")).unwrap_or_default());
    }
    let date = output(Command::new("date").args(["-u", "+%-d %B %Y"]))?;
    let compiler = output(Command::new("rustc").arg("--version"))?;
    let compiler = compiler.split(' ').nth(1).unwrap_or("of an unknown version");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let busy = if !timed {
        " The times were not measured."
    } else if is_busy {
        " The machine did other work at the same time, so the time on the clock is left out."
    } else {
        ""
    };
    Ok(format!(
        "Measured on {}, on {cores} × {}, with Rust {compiler}. \
         The load before the run was {load}.{busy}\n\n\
         | library | client | server | foreign crates in the programs | foreign crates compiled | CPU time of the build | time of the build |\n\
         |---|---:|---:|---:|---:|---:|---:|\n{rows}",
        date.trim(),
        processor(),
    ))
}

fn measure(library: &str, timed: bool) -> Result<Weight, String> {
    let package = format!("weight-{library}");
    let target = bench().join("target/weight").join(library);
    if timed
        && let Err(error) = fs::remove_dir_all(&target)
        && target.exists()
    {
        return Err(format!("{} can't be removed: {error}", target.display()));
    }
    output(cargo("fetch").arg("--locked"))?;
    let (start, cpu) = (Instant::now(), cpu_seconds_of_children());
    output(
        cargo("build")
            .args(["--release", "--locked", "--quiet", "--package", &package, "--target-dir"])
            .arg(&target)
            .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "none"),
    )?;
    let (seconds, cpu_seconds) = (start.elapsed().as_secs_f64(), cpu_seconds_of_children() - cpu);
    let bytes = |side: &str| {
        let program = target.join("release").join(format!("{package}-{side}"));
        let metadata = fs::metadata(&program);
        metadata.map(|file| file.len()).map_err(|error| format!("{}: {error}", program.display()))
    };
    let linked = crates(&package, "normal,no-proc-macro")?;
    let all = crates(&package, "normal,build")?;
    let foreign = |crates: &BTreeSet<String>| crates.iter().filter(|line| !is_ours(line)).count();
    let version = all.iter().find_map(|line| line.strip_prefix(&format!("{library} v")));
    Ok(Weight {
        version: version.unwrap_or_default().split(' ').next().unwrap_or_default().to_owned(),
        client_bytes: bytes("client")?,
        server_bytes: bytes("server")?,
        linked: foreign(&linked),
        compiled: foreign(&all),
        seconds,
        cpu_seconds,
    })
}

/// Returns the crates that a package depends on. Each entry starts with `name vVERSION`. For a
/// crate of this repository, its path follows.
fn crates(package: &str, edges: &str) -> Result<BTreeSet<String>, String> {
    let tree = output(cargo("tree").args([
        "--locked",
        "--package",
        package,
        "--edges",
        edges,
        "--prefix",
        "none",
    ]))?;
    Ok(tree.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect())
}

/// Returns whether an entry of [`crates`] is a crate of this repository.
fn is_ours(line: &str) -> bool {
    line.contains(" (/")
}

/// Writes the table into the document, and returns the table.
fn publish(text: &str) -> Result<String, String> {
    let document = root().join("docs/weight.md");
    write_part(&document, "weight", text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

fn bench() -> PathBuf {
    root().join("bench")
}

/// Returns a Cargo command for the workspace of the benchmark.
fn cargo(command: &str) -> Command {
    let mut cargo = crate::cargo::cargo();
    cargo.arg(command).arg("--manifest-path").arg(bench().join("Cargo.toml"));
    // Flags of the calling build would change the sizes.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_TARGET_DIR");
    cargo
}

/// Runs a command and returns its standard output.
fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?} can't be run: {error}"))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} failed: {error}"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the CPU time of all child processes that have ended, including their descendants. The
/// value is the sum of `cutime` and `cstime` in `/proc/self/stat`, which are in hundredths of a
/// second.
fn cpu_seconds_of_children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Skips the program name, which is in parentheses and may contain spaces.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = fields.split(' ').skip(13).take(2);
    ticks.filter_map(|ticks| ticks.parse::<u32>().ok()).map(f64::from).sum::<f64>() / 100.0
}

fn first_word(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("a processor", |(_, name)| name).to_owned()
}
