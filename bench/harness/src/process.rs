//! Resource usage of processes, as counted by the kernel.

use std::time::Duration;

use crate::sys::clock;

/// Returns the CPU time of all threads of these processes, including ended threads.
///
/// A process that has ended counts as zero; all measured processes outlive the measurement.
pub fn cpu_time(pids: &[u32]) -> Duration {
    pids.iter().filter_map(|pid| clock::process_cpu_time(*pid).ok()).sum()
}

/// Returns the anonymous memory of these processes: heaps and stacks.
///
/// # Errors
/// The errors of reading `/proc/PID/smaps_rollup`.
pub fn memory(pids: &[u32]) -> std::io::Result<u64> {
    pids.iter().map(|pid| memory_of(*pid)).sum()
}

fn memory_of(pid: u32) -> std::io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}
