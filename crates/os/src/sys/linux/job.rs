//! Jobs, which are cgroup v2 directories.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use super::directory;
pub(crate) use super::directory::DirectoryHandle as JobHandle;
use super::process::ended;
use crate::{JobWatch, Process};

pub(crate) fn open(path: &Path) -> io::Result<JobHandle> {
    let directory = directory::open(path)?;
    // The caller chose the path, so it is acceptable that its file system may be slow.
    match rustix::fs::fstatfs(&directory)?.f_type as u64 & MAGIC_MASK == CGROUP2_MAGIC {
        true => Ok(directory),
        false => {
            let what = "a job needs a directory of control groups of version 2 (cgroup2)";
            Err(io::Error::new(ErrorKind::Unsupported, what))
        }
    }
}

pub(crate) fn add(job: &JobHandle, process: &Process) -> io::Result<()> {
    let id = process.id()?.ok_or_else(|| ended("process"))?;
    write(job, "cgroup.procs", id.to_string().as_bytes())?;
    // The kernel takes a process ID here. If the process is still alive afterwards, the ID cannot
    // have been reused before.
    match process.wait_timeout(Duration::ZERO)? {
        true => Err(ended("process")),
        false => Ok(()),
    }
}

pub(crate) fn kill(job: &JobHandle) -> io::Result<()> {
    write(job, "cgroup.kill", b"1")
}

pub(crate) fn process_ids(job: &JobHandle) -> io::Result<Vec<u32>> {
    let mut text = String::new();
    control(job, "cgroup.procs", OFlags::RDONLY)?.read_to_string(&mut text)?;
    Ok(text.lines().filter_map(|id| id.parse().ok()).collect())
}

pub(crate) fn watch(job: &JobHandle) -> io::Result<JobWatch> {
    control(job, "cgroup.events", OFlags::RDONLY).map(JobWatch)
}

pub(crate) fn wait_empty(job: &JobHandle, deadline: Option<Instant>) -> io::Result<bool> {
    watch(job)?.wait(deadline)
}

fn write(job: &JobHandle, name: &str, text: &[u8]) -> io::Result<()> {
    control(job, name, OFlags::WRONLY)?.write_all(text).map_err(|error| {
        if error.raw_os_error() == Some(libc::ESRCH) {
            return ended("process");
        }
        // A threaded control group accepts no processes (`EOPNOTSUPP`), and neither does one with
        // controllers enabled for its children (`EBUSY`). The error names the control file, which
        // an error number alone would not.
        io::Error::new(error.kind(), format!("{name} of the job can't be written: {error}"))
    })
}

/// Opens one of the control files of a job. The kernel proved the job's directory to be on a cgroup
/// file system, but the peer that sent it may have mounted something over the file.
fn control(job: &JobHandle, name: &str, access: OFlags) -> io::Result<File> {
    let opened = job.open_unlinked(name.as_ref(), access).map_err(|error| {
        let error = io::Error::from(error);
        io::Error::new(error.kind(), format!("{name} of the job can't be opened: {error}"))
    })?;
    Ok(opened.into())
}

/// From `linux/magic.h`. Magic numbers have 32 bits, but the width of the field depends on the
/// architecture.
const CGROUP2_MAGIC: u64 = 0x6367_7270;
const MAGIC_MASK: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::{Job, Object, identify, wait_any};

    /// A job for a test, which is removed at the end of the test.
    struct Temporary {
        parent: Job,
        name: String,
        job: Job,
    }

    impl Temporary {
        /// Returns `None` and prints the reason if this machine or this user can't create a job.
        fn new() -> Option<Self> {
            static LAST: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
            let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
            let Some(mount) = table.lines().find(|line| line.contains(" - cgroup2 ")) else {
                println!("skipped: control groups of version 2 aren't mounted");
                return None;
            };
            let parent = Job::open(mount.split(' ').nth(4).unwrap()).unwrap();
            let number = LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let name = format!("syshandle-test-{}-{number}", std::process::id());
            match parent.create(&name) {
                Ok(job) => Some(Self { parent, name, job }),
                Err(error) => {
                    println!("skipped: no control group can be made: {error}");
                    None
                }
            }
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = self.job.kill();
            let _ = self.job.wait_empty(Some(Duration::from_secs(20)));
            self.parent.remove(&self.name).unwrap();
        }
    }

    fn sleeper() -> Child {
        Command::new("/bin/sh").args(["-c", "read line"]).stdin(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn all_processes_of_a_job_are_killed_together() {
        let Some(temporary) = Temporary::new() else { return };
        let job = &temporary.job;
        assert_eq!(identify(job.as_fd()).unwrap().object, Object::Job);
        assert!(job.wait_empty(None).unwrap());
        let mut children = [sleeper(), sleeper()];
        for child in &children {
            job.add(&Process::of(child).unwrap()).unwrap();
        }
        let mut ids = children.each_ref().map(Child::id);
        ids.sort_unstable();
        let mut inside = job.process_ids().unwrap();
        inside.sort_unstable();
        assert_eq!(inside, ids);
        assert!(!job.wait_empty(Some(Duration::from_millis(1))).unwrap());
        job.kill().unwrap();
        let watch = job.watch().unwrap();
        assert_eq!(wait_any(&[&watch], Some(Duration::from_secs(20))).unwrap(), Some(0));
        assert!(watch.is_empty().unwrap());
        for child in &mut children {
            assert!(!child.wait().unwrap().success());
        }
    }

    #[test]
    fn a_process_that_has_ended_is_not_added() {
        let Some(temporary) = Temporary::new() else { return };
        let mut child = sleeper();
        let process = Process::of(&child).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let error = temporary.job.add(&process).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.to_string(), "the process has ended, or isn't visible in this namespace");
    }

    #[test]
    fn a_file_of_a_job_that_fails_is_named() {
        // A directory on another file system, which a peer could pass as a job if there were no
        // proof.
        let folder = tempfile::tempdir().unwrap();
        let job = Job::from(OwnedFd::from(File::open(folder.path()).unwrap()));
        let error = job.kill().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().starts_with("cgroup.kill of the job can't be opened"), "{error}");
    }

    #[test]
    fn another_directory_is_no_job_and_the_error_says_what_it_needs() {
        let error = Job::open("/proc/self").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("cgroup2"), "{error}");
    }
}
