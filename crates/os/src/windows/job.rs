//! Jobs: processes that are counted and ended together.
//!
//! | | |
//! |---|---|
//! | object | a [job](https://learn.microsoft.com/windows/win32/procthread/job-objects) |
//! | proof | the object's type is `Job` |
//! | rights | `read` (`JOB_OBJECT_QUERY`), `write` (`JOB_OBJECT_ASSIGN_PROCESS`), `signal` (`JOB_OBJECT_TERMINATE`): enforced by the kernel on the handle |
//! | `try_clone` | the same job |
//! | MIDL | `sh_job` |
//!
//! Unlike the one of Linux it isn't a directory: it has no jobs below it, and no path.

use std::io;
use std::os::windows::io::AsHandle;
use std::time::{Duration, Instant};

use super::handle::impl_owned;
use super::sys::job;
use crate::{Declared, Kind, OwnedHandle, Process, Rights};

/// A job.
#[derive(Debug)]
pub struct Job(OwnedHandle);

impl_owned!(Job, "job", Declared::kind(Kind::Job).at_least(Rights::READ));

impl Job {
    /// Makes a job without processes and without a name.
    ///
    /// # Errors
    /// Those of `CreateJobObject`.
    pub fn new() -> io::Result<Self> {
        Ok(Self(job::create()?))
    }

    /// Adds a process, for good: with all that it starts from now on.
    ///
    /// # Errors
    /// Those of `AssignProcessToJobObject`.
    pub fn add(&self, process: &Process) -> io::Result<()> {
        job::add(self.0.as_handle(), process.as_handle())
    }

    /// Ends all its processes.
    ///
    /// # Errors
    /// Those of `TerminateJobObject`.
    pub fn kill(&self) -> io::Result<()> {
        job::terminate(self.0.as_handle())
    }

    /// The numbers of its processes.
    ///
    /// # Errors
    /// Those of `QueryInformationJobObject`.
    pub fn process_ids(&self) -> io::Result<Vec<u32>> {
        job::process_ids(self.0.as_handle())
    }

    /// Waits until it has no processes, but not longer than `timeout`; says whether it has none.
    ///
    /// # Errors
    /// Those of [`Job::process_ids`], and of waiting for a process.
    pub fn wait_empty(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let Some(id) = self.process_ids()?.into_iter().next() else { return Ok(true) };
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            // One that can't be opened has just ended, or isn't for us to wait for.
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

/// Until a process that can't be opened is looked for again.
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
