//! Jobs: groups of processes that are counted and ended together.
//!
//! | | |
//! |---|---|
//! | object | a [job](https://learn.microsoft.com/windows/win32/procthread/job-objects) |
//! | proof | the object's type is `Job` |
//! | rights | `read` (`JOB_OBJECT_QUERY`), `write` (`JOB_OBJECT_ASSIGN_PROCESS`), `signal` (`JOB_OBJECT_TERMINATE`): enforced by the kernel on the handle |
//! | `try_clone` | the same job |
//! | MIDL | `sh_job` |
//!
//! Unlike a job on Linux, it isn't a directory: it has no jobs below it, and no path.

use std::io;
use std::os::windows::io::AsHandle;
use std::time::{Duration, Instant};

use super::handle::impl_owned;
use crate::sys::job;
use crate::{Declared, Kind, OwnedHandle, Process, Rights};

/// A job.
#[derive(Debug)]
pub struct Job(OwnedHandle);

impl_owned!(Job, "job", Declared::kind(Kind::Job).at_least(Rights::READ));

impl Job {
    /// Makes a job without processes and without a name.
    ///
    /// # Errors
    /// Returns the errors of `CreateJobObject`.
    pub fn new() -> io::Result<Self> {
        Ok(Self(job::create()?))
    }

    /// Adds a process for good, including all processes that it starts from now on.
    ///
    /// # Errors
    /// Returns the errors of `AssignProcessToJobObject`.
    pub fn add(&self, process: &Process) -> io::Result<()> {
        job::add(self.0.as_handle(), process.as_handle())
    }

    /// Ends all processes of the job.
    ///
    /// # Errors
    /// Returns the errors of `TerminateJobObject`.
    pub fn kill(&self) -> io::Result<()> {
        job::terminate(self.0.as_handle())
    }

    /// Returns the numbers of the job's processes.
    ///
    /// # Errors
    /// Returns the errors of `QueryInformationJobObject`.
    pub fn process_ids(&self) -> io::Result<Vec<u32>> {
        job::process_ids(self.0.as_handle())
    }

    /// Waits until the job has no processes, but at most `timeout`; returns whether it has none.
    ///
    /// # Errors
    /// Returns the errors of [`Job::process_ids`], and of waiting for a process.
    pub fn wait_empty(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let Some(id) = self.process_ids()?.into_iter().next() else { return Ok(true) };
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            // A process that can't be opened has just ended, or this process may not wait for it.
            let ended = match (Process::open(id), left) {
                (Ok(process), Some(left)) => process.wait_timeout(left)?,
                (Ok(process), None) => process.wait().map(|()| true)?,
                (Err(_), left) => {
                    std::thread::sleep(PAUSE);
                    left.is_none_or(|left| !left.is_zero())
                }
            };
            if !ended {
                return Ok(self.process_ids()?.is_empty());
            }
        }
    }
}

/// The pause before a process that can't be opened is looked up again.
const PAUSE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_job_is_empty() {
        let job = Job::new().unwrap();
        assert_eq!(job.process_ids().unwrap(), []);
        assert!(job.wait_empty(Some(Duration::ZERO)).unwrap());
    }
}
