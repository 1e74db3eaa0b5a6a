//! Jobs: groups of processes that are ended together.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | a directory of the control group file system, version 2 ([cgroups(7)](https://man7.org/linux/man-pages/man7/cgroups.7.html)) | a [job](https://learn.microsoft.com/windows/win32/procthread/job-objects) |
//! | proof | `statx` shows a directory, on a mount of the file system `cgroup2` | the object's type is `Job` |
//! | rights | `read`. The handle lends no authority: the kernel checks the permissions of the process that moves or kills another one | `read` (`JOB_OBJECT_QUERY`), `write` (`JOB_OBJECT_ASSIGN_PROCESS`), `signal` (`JOB_OBJECT_TERMINATE`): enforced by the kernel on the handle |
//! | `try_clone` | the same job | the same job |
//! | MIDL | | `sh_job` |
//!
//! On Linux, a job is also a directory, and is accepted if a directory is declared. A job of Windows
//! has no jobs below it, and no path.

use std::io;
use std::time::Duration;

use crate::owned::impl_owned;
use crate::sys::job::JobHandle;
use crate::wait::deadline_after;
use crate::{Declaration, Kind, Process, Rights, sys};

/// A group of processes, on Linux including the groups below it.
#[derive(Debug)]
pub struct Job(JobHandle);

impl_owned!(Job, "job", Declaration::kind(Kind::Job).at_least(Rights::READ));

impl Job {
    /// Moves a process to this job, for good on Windows. Children that it creates later start in the
    /// job. On Linux, its existing children stay in their own jobs.
    ///
    /// # Errors
    /// On Linux: `NotFound` if the process has ended or isn't visible in this pid namespace;
    /// `PermissionDenied`; `ResourceBusy` for a job whose controllers are in use below it. On
    /// Windows: the errors of `AssignProcessToJobObject`.
    pub fn add(&self, process: &Process) -> io::Result<()> {
        sys::job::add(&self.0, process)
    }

    /// Kills all processes of the job, and on Linux of the jobs below it. The processes end a moment
    /// later; the job is then empty.
    ///
    /// # Errors
    /// On Linux: `PermissionDenied`; `NotFound` for the root of all jobs. On Windows: the errors of
    /// `TerminateJobObject`.
    pub fn kill(&self) -> io::Result<()> {
        sys::job::kill(&self.0)
    }

    /// Returns the numbers of the processes in this job, on Linux without the jobs below it and in
    /// this pid namespace.
    ///
    /// # Errors
    /// Returns the errors of `read(2)` on Linux, and of `QueryInformationJobObject` on Windows.
    pub fn process_ids(&self) -> io::Result<Vec<u32>> {
        sys::job::process_ids(&self.0)
    }

    /// Waits until the job has no process, on Linux neither in the jobs below it, but at most
    /// `timeout`, if there is one. Returns whether the job is empty.
    ///
    /// # Errors
    /// On Linux: `NotFound` for the root of all jobs, which is never empty; the errors of `poll(2)`.
    /// On Windows: the errors of [`Job::process_ids`], and of waiting for a process.
    pub fn wait_empty(&self, timeout: Option<Duration>) -> io::Result<bool> {
        sys::job::wait_empty(&self.0, timeout.and_then(deadline_after))
    }
}

/// Linux only: the tree of jobs.
#[cfg(not(windows))]
impl Job {
    /// Opens the job whose directory is at a path.
    ///
    /// # Errors
    /// Returns the errors of [`Directory::open`](crate::Directory::open); `Unsupported` for a
    /// directory that isn't of control groups of version 2, for example if only version 1 is mounted.
    pub fn open(path: impl AsRef<std::path::Path>) -> io::Result<Self> {
        sys::job::open(path.as_ref()).map(Self)
    }

    /// Makes a job below this one. The job outlives this process: [`Job::remove`] removes it.
    ///
    /// # Errors
    /// `AlreadyExists`; `PermissionDenied` unless this user may create it, for example because a
    /// service manager has delegated the parent; `InvalidInput` for a name that is a path.
    pub fn create(&self, name: impl AsRef<std::ffi::OsStr>) -> io::Result<Self> {
        self.0.create_directory(name.as_ref().as_ref()).map(Self)
    }

    /// Removes a job below this one, which must be empty.
    ///
    /// # Errors
    /// `ResourceBusy` while the job has processes or jobs; `NotFound`.
    pub fn remove(&self, name: impl AsRef<std::ffi::OsStr>) -> io::Result<()> {
        self.0.remove(name.as_ref().as_ref())
    }

    /// Returns a watch that waits until the job is empty.
    ///
    /// # Errors
    /// `NotFound` for the root of all jobs, which is never empty.
    pub fn watch(&self) -> io::Result<crate::JobWatch> {
        sys::job::watch(&self.0)
    }
}

/// Windows only.
#[cfg(windows)]
impl Job {
    /// Makes a job without processes and without a name.
    ///
    /// # Errors
    /// Returns the errors of `CreateJobObject`.
    pub fn new() -> io::Result<Self> {
        sys::job::create().map(Self)
    }
}
