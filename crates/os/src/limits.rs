//! Limits that the system sets for this process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::sys::proc;
use crate::sys::signal::{self, FileSizeSignalBlock};
use crate::sys::this_process::set_descriptor_limit;

/// Returns the limits in force for this process, which its child processes inherit, always for the
/// same resources in the same order. An unlimited resource has the largest number.
pub fn resource_limits() -> Vec<u64> {
    INHERITED.map(|resource| getrlimit(resource).current.unwrap_or(u64::MAX)).into()
}

/// The resources whose limits can prevent a program from starting.
const INHERITED: [Resource; 9] = [
    Resource::As,
    Resource::Cpu,
    Resource::Data,
    Resource::Fsize,
    Resource::Memlock,
    Resource::Nofile,
    Resource::Nproc,
    Resource::Rss,
    Resource::Stack,
];

/// The soft limit of descriptors before this process raised it; `None` if there was no limit.
static ORIGINAL: OnceLock<Option<u64>> = OnceLock::new();

/// Raises the soft limit of descriptors of this process to the hard limit, and returns the new
/// limit. The usual limit of 1,024 exists for programs that call `select(2)`; programs that this
/// process starts get it back by [`restore_descriptor_limit`].
pub fn raise_descriptor_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    ORIGINAL.get_or_init(|| current);
    // A process may raise its limit up to the maximum. If that fails, the present limit stays.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    descriptor_limit()
}

/// Makes the program of a command start with the limit of descriptors that this process had before
/// it raised its own. A [`Server`](https://docs.rs/syshandle) raises the limit, but a program that
/// calls `select(2)` does not work with descriptors above 1,024. Does nothing if this process has
/// not raised its limit.
///
/// ```
/// let mut command = std::process::Command::new("sh");
/// syshandle_os::restore_descriptor_limit(command.args(["-c", "ulimit -n"]));
/// # let _ = command;
/// ```
pub fn restore_descriptor_limit(command: &mut Command) -> &mut Command {
    if let Some(limit) = original_descriptor_limit() {
        set_descriptor_limit(command, limit);
    }
    command
}

/// Returns the soft limit of descriptors from before this process raised it, if it did.
pub(crate) fn original_descriptor_limit() -> Option<u64> {
    ORIGINAL.get().copied().flatten()
}

/// Returns how many descriptors this process may have open; `None` without a limit.
pub fn descriptor_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Returns the size in bytes of the largest file that this process may write (`RLIMIT_FSIZE`, which
/// counts for memory files too); `None` without a limit.
pub fn file_size_limit() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

/// Runs `write`, which may exceed the limit of file sizes. Exceeding the limit is then an error
/// that names the limit, instead of the signal `SIGXFSZ`, which would end this process.
///
/// # Errors
/// Returns the errors of `write`; `FileTooLarge` beyond the limit.
pub fn within_file_size_limit<T>(write: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let blocked = FileSizeSignalBlock::new();
    let result = write();
    drop(blocked);
    result.map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => past_file_size_limit(),
        _ => error,
    })
}

/// Makes this process ignore `SIGXFSZ`, unless it has its own handler. A write beyond the limit of
/// file sizes is then an error, also on the standard output.
pub fn ignore_file_size_signal() {
    signal::ignore_file_size_signal();
}

/// Returns the error for a file that would exceed the limit of file sizes.
pub(crate) fn past_file_size_limit() -> io::Error {
    let text = match file_size_limit() {
        Some(limit) => {
            format!("this process may write files of at most {limit} bytes (RLIMIT_FSIZE)")
        }
        None => "the file would be larger than its file system allows".to_owned(),
    };
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

/// Returns how much memory this process may use, in bytes: the minimum of the machine's memory and
/// the limits of the control groups. `None` if the system doesn't report it.
pub fn memory_limit() -> Option<u64> {
    let physical = proc::read("/proc/meminfo").ok().and_then(|text| total_memory(&text));
    let groups = proc::read("/proc/self/cgroup").unwrap_or_default();
    let limits = group_files(&groups).filter_map(|file| {
        // The text `max`, for a group without a limit, fails to parse and is skipped.
        fs::read_to_string(file).ok()?.trim().parse().ok()
    });
    limits.chain(physical).min()
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Returns the files that hold the memory limits of the control groups in `/proc/self/cgroup` and
/// of their ancestors.
fn group_files(groups: &str) -> impl Iterator<Item = PathBuf> {
    groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (root, file) = match fields.next() {
            Some("") => ("/sys/fs/cgroup", "memory.max"),
            Some(controllers) if controllers.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return Vec::new(),
        };
        let group = Path::new(fields.next().unwrap_or("/")).to_owned();
        let above = group.ancestors().map(|group| group.strip_prefix("/").unwrap_or(group));
        above.map(|group| Path::new(root).join(group).join(file)).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_all_groups_above_are_read() {
        let groups = "5:cpu,memory:/a/b\n3:pids:/c\n0::/d\n";
        let files: Vec<_> = group_files(groups).collect();
        let expected = [
            "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/d/memory.max",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(files, expected.map(PathBuf::from));
        assert_eq!(total_memory("MemTotal:       2048 kB\nMemFree: 1 kB"), Some(2048 * 1024));
        assert!(memory_limit().is_some_and(|limit| limit > 0));
    }
}
