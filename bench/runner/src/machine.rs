//! The machine, and the temporary folder of a run.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bench_harness::Result;

/// A temporary folder for sockets and registrations, removed when dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn make() -> Result<Self> {
        // In memory, like the folder for sockets of a login session.
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        // The name is short, because the path of a socket has at most 107 bytes.
        let path = parent.join(format!("{PREFIX}{}", std::process::id()));
        remove_leftovers(&parent);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Removes the folders of runs that were killed.
fn remove_leftovers(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The name of a run's temporary folder is this prefix and a process id.
const PREFIX: &str = "shb-";

/// Describes the machine: cores, processor, kernel.
pub(crate) fn description() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("a processor", |line| line.trim_start_matches(['\t', ' ', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let release = read("/proc/sys/kernel/osrelease");
    let version: String =
        release.chars().take_while(|char| char.is_ascii_digit() || *char == '.').collect();
    format!("{cores} × {model}, Linux {}", version.trim_end_matches('.'))
}

/// Returns the day, as `2026-01-31`, or an empty text without the program `date`.
pub(crate) fn today() -> String {
    let output = std::process::Command::new("date").args(["-u", "+%F"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().trim().to_owned()
}

/// Waits until the load average falls below the limit for published results, and returns it.
///
/// # Errors
/// The machine stays busy.
pub(crate) fn wait_until_idle() -> Result<f64> {
    let start = Instant::now();
    loop {
        match load() {
            load if load < PUBLISHED_LOAD_MAX => return Ok(load),
            load if start.elapsed() > IDLE_TIME_MAX => {
                let limit = PUBLISHED_LOAD_MAX;
                return Err(format!("the machine is busy: its load is {load}, and results are published with at most {limit}").into());
            }
            _ => std::thread::sleep(Duration::from_secs(5)),
        }
    }
}

/// Maximum load average before a run whose results are published.
const PUBLISHED_LOAD_MAX: f64 = 0.5;

/// Maximum time to wait until the load average is low enough. It falls slowly after a build.
const IDLE_TIME_MAX: Duration = Duration::from_secs(600);

/// Returns the load average of the last minute.
pub(crate) fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_killed_runs_are_removed() {
        let parent = std::env::temp_dir().join(format!("bench-leftovers-{}", std::process::id()));
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        let names = [ended.id(), std::process::id()].map(|pid| format!("{PREFIX}{pid}"));
        ended.wait().unwrap();
        for name in &names {
            std::fs::create_dir_all(parent.join(name)).unwrap();
        }
        std::fs::create_dir(parent.join("shb-x")).unwrap();
        remove_leftovers(&parent);
        let [gone, kept] = names.map(|name| parent.join(name).exists());
        let other = parent.join("shb-x").exists();
        std::fs::remove_dir_all(&parent).unwrap();
        assert!(!gone && kept && other);
    }
}
