//! Watches and ends a process through a pidfd, so that a reused process ID does no harm.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::readable::is_readable;
use crate::{TEST_TIMEOUT, wait_until};

/// A process, which need not be a child of this process.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    handle: OwnedFd,
}

impl Process {
    /// Opens the process with this ID, if there is one.
    pub fn open(pid: u32) -> Option<Self> {
        let handle = pidfd_open(Pid::from_raw(pid as i32)?, PidfdFlags::empty()).ok()?;
        Some(Self { pid, handle })
    }

    /// Returns the process ID.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Kills the process.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Sends `SIGTERM` to the process.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops the process, and waits until all its threads have stopped.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        wait_until("a process stands still", || {
            let threads = fs::read_dir(format!("/proc/{}/task", self.pid)).unwrap().flatten();
            threads.map(|thread| fs::read_to_string(thread.path().join("stat"))).all(|stat| {
                // A process that has ended counts as stopped.
                stat.map_or(true, |stat| [") T ", ") Z ", ") X "].iter().any(|s| stat.contains(s)))
            })
        });
    }

    /// Continues the stopped process.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Interrupts the system calls of all threads, like a signal with a handler does, by stopping
    /// and continuing the process. When the process continues, the kernel restarts each system call
    /// or ends it with `EINTR`.
    pub fn interrupt(&self) {
        self.signal(Signal::STOP);
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        // Sending fails only if the process has already ended.
        let _ = pidfd_send_signal(&self.handle, signal);
    }

    /// Returns whether the process has ended.
    pub fn has_ended(&self) -> bool {
        self.ends_within(Duration::ZERO)
    }

    /// Waits until the process has ended. Returns how long that took.
    ///
    /// # Panics
    /// Panics if the process has not ended after [`TEST_TIMEOUT`].
    pub fn wait(&self) -> Duration {
        let began = Instant::now();
        assert!(self.ends_within(TEST_TIMEOUT), "process {} did not end in time", self.pid);
        began.elapsed()
    }

    /// Returns whether the process has a pidfd open, by which it watches another process.
    pub fn watches_a_process(&self) -> bool {
        self.descriptors().is_some_and(|census| census.keys().any(|kind| kind.contains("pidfd")))
    }

    fn ends_within(&self, time: Duration) -> bool {
        is_readable(&self.handle, time)
    }

    /// Returns the number of file descriptors for each type of object. Returns `None` if the
    /// process has ended.
    pub fn descriptors(&self) -> Option<BTreeMap<String, usize>> {
        let mut census = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{}/fd", self.pid)).ok()?.flatten() {
            // The descriptor may have been closed after the directory was read.
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            let target = target.to_string_lossy();
            // Excludes files that a process keeps open to examine handles (`prepare`).
            if target.contains("/fdinfo/") || target.ends_with("/mountinfo") {
                continue;
            }
            // Removes the inode number from the name of a socket or pipe.
            let kind = target.trim_end_matches(|c: char| c.is_ascii_digit() || c == ']');
            *census.entry(kind.to_owned()).or_default() += 1;
        }
        (!self.has_ended()).then_some(census)
    }
}
