//! Jobs: groups of processes that can be ended together.
//!
//! | | Linux | Windows |
//! |---|---|---|
//! | object | a directory of the cgroup v2 file system ([cgroups(7)](https://man7.org/linux/man-pages/man7/cgroups.7.html)) | a [job](https://learn.microsoft.com/windows/win32/procthread/job-objects) |
//! | proof | `statx` shows a directory, on a mount of the file system `cgroup2` | the object's type is `Job` |
//! | rights | `read`. The handle gives no authority: the kernel checks the permissions of the process that moves or kills another one | `read` (`JOB_OBJECT_QUERY`), `write` (`JOB_OBJECT_ASSIGN_PROCESS`), `signal` (`JOB_OBJECT_TERMINATE`): enforced by the kernel on the handle |
//! | `try_clone` | the same job | the same job |
//! | MIDL | | `sh_job` |
//!
//! On Linux, a job is also a directory, and matches a declaration of a directory. A Windows job has
//! no child jobs and no path.

use std::io;
use std::time::Duration;

use crate::owned::impl_owned;
use crate::sys::job::JobHandle;
use crate::wait::deadline_after;
use crate::{Declaration, Kind, Process, Rights, sys};

/// A group of processes. On Linux, it includes the processes of its child jobs.
#[derive(Debug)]
pub struct Job(JobHandle);

impl_owned!(Job, "job", Declaration::kind(Kind::Job).at_least(Rights::READ));

impl Job {
    /// Moves a process to this job. Children that it creates later also start in the job. On
    /// Windows, the process can't leave the job. On Linux, existing children stay in their own
    /// jobs.
    ///
    /// # Errors
    /// On Linux: `NotFound` if the process has ended or isn't visible in this pid namespace,
    /// `PermissionDenied`, and `ResourceBusy` if controllers are enabled for the job's children. On
    /// Windows: the errors of `AssignProcessToJobObject`.
    pub fn add(&self, process: &Process) -> io::Result<()> {
        sys::job::add(&self.0, process)
    }

    /// Kills all processes of the job and, on Linux, of its child jobs. The call returns before the
    /// processes have ended.
    ///
    /// # Errors
    /// On Linux: `PermissionDenied`, and `NotFound` for the root job. On Windows: the errors of
    /// `TerminateJobObject`.
    pub fn kill(&self) -> io::Result<()> {
        sys::job::kill(&self.0)
    }

    /// Returns the IDs of the processes in this job. On Linux, processes of child jobs are not
    /// included, and the IDs are valid in this pid namespace.
    ///
    /// # Errors
    /// Returns the errors of `read(2)` on Linux, and of `QueryInformationJobObject` on Windows.
    pub fn process_ids(&self) -> io::Result<Vec<u32>> {
        sys::job::process_ids(&self.0)
    }

    /// Waits until the job has no processes. On Linux, its child jobs must be empty too. Waits at
    /// most `timeout`, if `Some`. Returns whether the job is empty.
    ///
    /// # Errors
    /// On Linux: `NotFound` for the root job, which is never empty, and the errors of `poll(2)`. On
    /// Windows: the errors of [`Job::process_ids`] and of waiting for a process.
    pub fn wait_empty(&self, timeout: Option<Duration>) -> io::Result<bool> {
        sys::job::wait_empty(&self.0, timeout.and_then(deadline_after))
    }
}

/// Linux only: the hierarchy of jobs.
#[cfg(not(windows))]
impl Job {
    /// Opens the job with this directory.
    ///
    /// # Errors
    /// Returns the errors of [`Directory::open`](crate::Directory::open). Returns `Unsupported` for
    /// a directory that isn't on a cgroup v2 file system, for example if only version 1 is mounted.
    pub fn open(path: impl AsRef<std::path::Path>) -> io::Result<Self> {
        sys::job::open(path.as_ref()).map(Self)
    }

    /// Creates a child job. The job outlives this process: [`Job::remove`] removes it.
    ///
    /// # Errors
    /// Returns `AlreadyExists`, `InvalidInput` for a name that is a path, and `PermissionDenied`
    /// unless this user may create it. A service manager can grant that by delegating the parent.
    pub fn create(&self, name: impl AsRef<std::ffi::OsStr>) -> io::Result<Self> {
        self.0.create_directory(name.as_ref().as_ref()).map(Self)
    }

    /// Removes a child job, which must be empty.
    ///
    /// # Errors
    /// Returns `ResourceBusy` while the job has processes or child jobs, and `NotFound`.
    pub fn remove(&self, name: impl AsRef<std::ffi::OsStr>) -> io::Result<()> {
        self.0.remove(name.as_ref().as_ref())
    }

    /// Returns an object that becomes ready when the job is empty.
    ///
    /// # Errors
    /// `NotFound` for the root job, which is never empty.
    pub fn watch(&self) -> io::Result<crate::JobWatch> {
        sys::job::watch(&self.0)
    }
}

/// Windows only.
#[cfg(windows)]
impl Job {
    /// Creates an unnamed job without processes.
    ///
    /// # Errors
    /// Returns the errors of `CreateJobObject`.
    pub fn new() -> io::Result<Self> {
        sys::job::create().map(Self)
    }
}
