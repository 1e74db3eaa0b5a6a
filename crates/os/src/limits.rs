//! Resource limits of this process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::sys::proc;
use crate::sys::signal::{self, FileSizeSignalBlock};
use crate::sys::this_process::set_descriptor_limit;

/// Returns the soft limits of this process that can prevent a child process from starting. The
/// order of the resources is always the same. An unlimited resource is reported as `u64::MAX`.
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

/// The soft limit of file descriptors before this process raised it. `None` if it was unlimited.
static ORIGINAL: OnceLock<Option<u64>> = OnceLock::new();

/// Raises this process's soft limit of file descriptors to the hard limit, and returns the new
/// limit. The usual soft limit of 1,024 protects programs that call `select(2)`.
/// [`restore_descriptor_limit`] restores it in programs that this process starts.
pub fn raise_descriptor_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    ORIGINAL.get_or_init(|| current);
    // A process may raise its soft limit up to the hard limit. If that fails, the current limit
    // remains.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    descriptor_limit()
}

/// Makes a command start its program with the limit of file descriptors that this process had
/// before it raised the limit. A [`Server`](https://docs.rs/syshandle) raises the limit, but a
/// program that calls `select(2)` does not work with descriptors from 1,024 on. Has no effect if
/// this process has not raised its limit.
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

/// Returns the soft limit of file descriptors before this process raised it, or `None` if the limit
/// was not raised or was unlimited.
pub(crate) fn original_descriptor_limit() -> Option<u64> {
    ORIGINAL.get().copied().flatten()
}

/// Returns the soft limit of file descriptors; `None` if unlimited.
pub fn descriptor_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Returns the size in bytes of the largest file that this process may write (`RLIMIT_FSIZE`);
/// `None` if unlimited. The limit also applies to memory files.
pub fn file_size_limit() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

/// Runs `write` with the signal `SIGXFSZ` suppressed, which would end this process. If `write`
/// exceeds the file size limit, an error that names the limit is returned instead.
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

/// Makes this process ignore `SIGXFSZ`, unless it has its own handler. A write beyond the file size
/// limit then fails with an error. That includes writes to the standard output.
pub fn ignore_file_size_signal() {
    signal::ignore_file_size_signal();
}

/// Returns the error for a file that would exceed the file size limit.
pub(crate) fn past_file_size_limit() -> io::Error {
    let text = match file_size_limit() {
        Some(limit) => {
            format!("this process may write files of at most {limit} bytes (RLIMIT_FSIZE)")
        }
        None => "the file would be larger than its file system allows".to_owned(),
    };
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

/// Returns how many bytes of memory this process may use: the smallest of the machine's memory and
/// the limits of its control groups. `None` if the system doesn't report it.
pub fn memory_limit() -> Option<u64> {
    let physical = proc::read("/proc/meminfo").ok().and_then(|text| total_memory(&text));
    let groups = proc::read("/proc/self/cgroup").unwrap_or_default();
    let limits = group_files(&groups).filter_map(|file| {
        // A group without a limit has the text `max`, which does not parse and is skipped.
        fs::read_to_string(file).ok()?.trim().parse().ok()
    });
    limits.chain(physical).min()
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Returns the paths of the memory limit files of the control groups in `/proc/self/cgroup` and of
/// their ancestors.
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
