//! Waits until a job is empty. Exists on Linux only.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};

use crate::sys::wait::poll;
use crate::{Readiness, Waitable};

/// Becomes ready when the last process of a job has ended. See [`Job::watch`](crate::Job::watch).
#[derive(Debug)]
pub struct JobWatch(pub(crate) File);

impl JobWatch {
    /// Returns whether the job and its child jobs have no processes.
    ///
    /// # Errors
    /// Returns the errors of `read(2)`, for example `ENODEV` if the job was removed.
    pub fn is_empty(&self) -> io::Result<bool> {
        let mut text = [0; 128];
        let len = self.0.read_at(&mut text, 0)?;
        Ok(text[..len].split(|&byte| byte == b'\n').any(|line| line == b"populated 0"))
    }

    pub(crate) fn wait(&self, deadline: Option<Instant>) -> io::Result<bool> {
        loop {
            // Reading the file also acknowledges its last change.
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
