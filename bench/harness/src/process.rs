//! What the kernel counts of a process.

use std::time::Duration;

use crate::sys::clock;

/// The CPU time of these processes, of all their threads, also those that have ended.
///
/// A process that is gone counts as none: what is measured doesn't outlive its processes.
pub fn cpu_time(pids: &[u32]) -> Duration {
    pids.iter().filter_map(|pid| clock::process_cpu_time(*pid).ok()).sum()
}

/// The memory of these processes that belongs to no file: their heaps and stacks.
///
/// # Errors
/// Those of reading `/proc/PID/smaps_rollup`.
pub fn memory(pids: &[u32]) -> std::io::Result<u64> {
    pids.iter().map(|pid| memory_of(*pid)).sum()
}

fn memory_of(pid: u32) -> std::io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}
