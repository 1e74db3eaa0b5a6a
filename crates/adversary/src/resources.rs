//! The resources of a process: file descriptors, threads, and memory.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::poll::poll;

/// The resources that a process uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceUsage {
    /// The number of file descriptors for each type of object.
    pub descriptors: BTreeMap<String, usize>,
    /// Number of threads.
    pub threads: usize,
    /// Resident memory, in KiB.
    pub memory_kib: u64,
}

impl ResourceUsage {
    /// Counts the resources of a process. Returns `None` if it has ended, or if this user may not
    /// inspect it.
    pub fn of_process(pid: u32) -> Option<Self> {
        let mut descriptors = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
            // The descriptor may have been closed after the directory was read.
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            let target = target.to_string_lossy();
            // Excludes files that a process keeps open to examine handles (`prepare`).
            if target.contains("/fdinfo/") || target.ends_with("/mountinfo") {
                continue;
            }
            // Removes the inode number from the name of a socket or pipe.
            let kind = target.trim_end_matches(|c: char| c.is_ascii_digit() || c == ']');
            *descriptors.entry(kind.to_owned()).or_default() += 1;
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        Some(Self {
            descriptors,
            threads: number("Threads:")? as usize,
            memory_kib: number("VmRSS:")?,
        })
    }

    /// Returns the total number of file descriptors.
    pub fn descriptor_count(&self) -> usize {
        self.descriptors.values().sum()
    }

    /// Waits until a process has at most as many descriptors as in `before`, but at most for
    /// `within`. Returns its resources.
    pub fn after_release(pid: u32, before: &Self, within: Duration) -> Option<Self> {
        let usage = || Self::of_process(pid).ok_or(());
        poll(within, usage, |now| now.descriptor_count() <= before.descriptor_count()).ok()
    }
}

/// For each thread of a process and for the calling thread: how long it was runnable but waited for
/// a CPU.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessorWaits(BTreeMap<PathBuf, Duration>);

impl ProcessorWaits {
    /// Reads the wait times. Excludes threads for which the kernel reports none.
    pub(crate) fn of_process(pid: u32) -> Self {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let threads = threads.map(|thread| thread.path());
        let waits = threads.chain([PathBuf::from("/proc/thread-self")]).filter_map(|thread| {
            // The second number is the time in a run queue, in nanoseconds.
            let text = fs::read_to_string(thread.join("schedstat")).ok()?;
            let wait = text.split_whitespace().nth(1)?.parse().ok()?;
            Some((thread, Duration::from_nanos(wait)))
        });
        Self(waits.collect())
    }

    /// Returns the sum of all threads' wait times since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let waits = self.0.iter().map(|(thread, wait)| {
            wait.saturating_sub(earlier.0.get(thread).copied().unwrap_or_default())
        });
        waits.sum()
    }
}

impl fmt::Display for ResourceUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.memory_kib as f64 / 1024.0;
        write!(f, "{} descriptors, {} threads, {mib:.1} MiB", self.descriptor_count(), self.threads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opened_descriptors_are_counted() {
        let here = || ResourceUsage::of_process(std::process::id()).expect("this process");
        let before = here();
        let files: Vec<_> = (0..100).map(|_| fs::File::open("/dev/null")).collect();
        // Other tests may open and close a few descriptors at the same time.
        assert!(here().descriptor_count() >= before.descriptor_count() + 50);
        assert!(here().descriptors["/dev/null"] >= 100);
        drop(files);
        assert!(here().memory_kib > 0 && here().threads > 0);
    }

    #[test]
    fn the_wait_of_a_thread_for_a_processor_counts_and_its_sleep_does_not() {
        let wait = |thread: &str, milliseconds| {
            (PathBuf::from(thread), Duration::from_millis(milliseconds))
        };
        let earlier = ProcessorWaits([wait("a", 5), wait("gone", 7)].into());
        let later = ProcessorWaits([wait("a", 8), wait("new", 2)].into());
        assert_eq!(later.since(&earlier), Duration::from_millis(5));
        let this = || ProcessorWaits::of_process(std::process::id());
        let before = this();
        assert!(before.0.contains_key(&PathBuf::from("/proc/thread-self")));
        assert!(this().0.keys().eq(before.0.keys()) || this().0.len() > 1);
    }
}
