//! Jobs: groups of processes that are ended together.
//!
//! | | |
//! |---|---|
//! | object | a directory of the control group file system, version 2 ([cgroups(7)](https://man7.org/linux/man-pages/man7/cgroups.7.html)) |
//! | proof | `statx` shows a directory, on a mount of the file system `cgroup2` |
//! | rights | `read`. The handle lends no authority: the kernel checks the permissions of the process that moves or kills another one |
//! | `try_clone` | the same job |
//! | Windows | a job HANDLE, `sh_job` |
//!
//! A job is also a directory, and is accepted if a directory is declared.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;

use crate::handle::impl_handle;
use crate::sys::process::ended;
use crate::sys::wait::poll;
use crate::wait::deadline_after;
use crate::{Declared, Directory, Kind, Process, Readiness, Rights, Waitable};

/// A group of processes, including the groups below it.
#[derive(Debug)]
pub struct Job(Directory);

/// Waits until the last process of a job has ended; see [`Job::watch`].
#[derive(Debug)]
pub struct JobWatch(File);

impl_handle!(Job => Declared::kind(Kind::Job).at_least(Rights::READ));

impl Job {
    /// Opens the job whose directory is at a path.
    ///
    /// # Errors
    /// Returns the errors of [`Directory::open`]; `Unsupported` for a directory that isn't of
    /// control groups of version 2, for example if only version 1 is mounted.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let directory = Directory::open(path)?;
        // The caller chose the path, so waiting for its file system is acceptable.
        match rustix::fs::fstatfs(&directory)?.f_type as u64 & MAGIC_MASK == CGROUP2_MAGIC {
            true => Ok(Self(directory)),
            false => {
                let what = "a job needs a directory of control groups of version 2 (cgroup2)";
                Err(io::Error::new(ErrorKind::Unsupported, what))
            }
        }
    }

    /// Makes a job below this one. The job outlives this process: [`Job::remove`] removes it.
    ///
    /// # Errors
    /// `AlreadyExists`; `PermissionDenied` unless this user may create it, for example because a
    /// service manager has delegated the parent; `InvalidInput` for a name that is a path.
    pub fn create(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        self.0.create_directory(name.as_ref()).map(Self)
    }

    /// Removes a job below this one, which must be empty.
    ///
    /// # Errors
    /// `ResourceBusy` while the job has processes or jobs; `NotFound`.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        self.0.remove(name.as_ref())
    }

    /// Moves a process, with all its threads, to this job. Children that it creates later start in
    /// the job; its existing children stay in their own jobs.
    ///
    /// # Errors
    /// `NotFound` if the process has ended or isn't visible in this pid namespace;
    /// `PermissionDenied`; `ResourceBusy` for a job whose controllers are in use below it.
    pub fn add(&self, process: &Process) -> io::Result<()> {
        let id = process.id()?.ok_or_else(|| ended("process"))?;
        self.write("cgroup.procs", id.to_string().as_bytes())?;
        // The kernel takes a process number here. If the process is still alive afterwards, the
        // number was its own.
        match process.wait_timeout(Duration::ZERO)? {
            true => Err(ended("process")),
            false => Ok(()),
        }
    }

    /// Kills all processes of the job and of the jobs below it. The processes end a moment later;
    /// the job is then empty.
    ///
    /// # Errors
    /// `PermissionDenied`; `NotFound` for the root of all jobs.
    pub fn kill(&self) -> io::Result<()> {
        self.write("cgroup.kill", b"1")
    }

    /// Returns the numbers of the processes in this job, without the jobs below it, in this pid
    /// namespace.
    ///
    /// # Errors
    /// Returns the errors of `read(2)`.
    pub fn process_ids(&self) -> io::Result<Vec<u32>> {
        let mut text = String::new();
        self.control("cgroup.procs", OFlags::RDONLY)?.read_to_string(&mut text)?;
        Ok(text.lines().filter_map(|id| id.parse().ok()).collect())
    }

    /// Returns a watch that waits until the job is empty.
    ///
    /// # Errors
    /// `NotFound` for the root of all jobs, which is never empty.
    pub fn watch(&self) -> io::Result<JobWatch> {
        self.control("cgroup.events", OFlags::RDONLY).map(JobWatch)
    }

    /// Waits until neither the job nor a job below it has a process, but at most `timeout`, if
    /// there is one. Returns whether the job is empty.
    ///
    /// # Errors
    /// Returns the errors of [`Job::watch`] and of `poll(2)`.
    pub fn wait_empty(&self, timeout: Option<Duration>) -> io::Result<bool> {
        self.watch()?.wait(timeout.and_then(deadline_after))
    }

    /// Returns a second handle to the same job.
    ///
    /// # Errors
    /// Fails if no descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    fn write(&self, name: &str, text: &[u8]) -> io::Result<()> {
        self.control(name, OFlags::WRONLY)?.write_all(text).map_err(|error| {
            if error.raw_os_error() == Some(libc::ESRCH) {
                return ended("process");
            }
            // A job of threads takes no processes (`EOPNOTSUPP`), and a job with controllers in use
            // takes no processes of its own (`EBUSY`). A bare error number would not name the job's
            // file.
            io::Error::new(error.kind(), format!("{name} of the job can't be written: {error}"))
        })
    }

    /// Opens one of the files that the kernel puts in each job. A directory from a peer was proven
    /// to be of that file system when it arrived, but the peer may have mounted something over the
    /// file.
    fn control(&self, name: &str, access: OFlags) -> io::Result<File> {
        let opened = self.0.open_unlinked(name, access).map_err(|error| {
            let error = io::Error::from(error);
            io::Error::new(error.kind(), format!("{name} of the job can't be opened: {error}"))
        })?;
        Ok(opened.into())
    }
}

impl JobWatch {
    /// Returns whether neither the job nor a job below it has a process.
    ///
    /// # Errors
    /// Returns the errors of `read(2)`; `ENODEV` if the job was removed.
    pub fn is_empty(&self) -> io::Result<bool> {
        let mut text = [0; 128];
        let len = self.0.read_at(&mut text, 0)?;
        Ok(text[..len].split(|&byte| byte == b'\n').any(|line| line == b"populated 0"))
    }

    fn wait(&self, deadline: Option<Instant>) -> io::Result<bool> {
        loop {
            // Reading the file also marks its changes as seen.
            if self.is_empty()? {
                return Ok(true);
            }
            if poll(&mut [PollFd::new(&self.0, PollFlags::PRI)], deadline)? == 0 {
                return Ok(false);
            }
        }
    }
}

impl Waitable for JobWatch {
    fn handle(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn take(&self) -> io::Result<bool> {
        self.is_empty()
    }

    fn readiness(&self) -> Readiness {
        Readiness::Changed
    }
}

impl AsFd for Job {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Job {
    fn from(handle: OwnedFd) -> Self {
        Self(handle.into())
    }
}

impl From<Job> for OwnedFd {
    fn from(job: Job) -> Self {
        job.0.into()
    }
}

/// From `linux/magic.h`. The kernel uses 32 bits; the type of the field differs between machines.
const CGROUP2_MAGIC: u64 = 0x6367_7270;
const MAGIC_MASK: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::{Object, identify, wait_any};

    /// A job for a test, removed at the end of the test.
    struct Temporary {
        parent: Job,
        name: String,
        job: Job,
    }

    impl Temporary {
        /// Returns `None`, with the reason printed, if this machine or this user can't have a job.
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
        assert_eq!(identify(job.as_fd()).unwrap().object, Object::ControlGroup);
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
        // A directory of another file system, as a peer could pass it if nothing were proven.
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
