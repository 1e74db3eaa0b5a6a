//! Notes of what happened when, in both processes, for whoever wants to see the timeline.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Which of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// The environment variable that names the file for the notes. Without it nothing is noted.
pub const FILE: &str = "SPARKLE_TIMELINE";

/// The environment variable that names a step at which to stand still, for tests that want to see
/// what happens when a process ends just there: `server: write to file handle`.
pub const HALT: &str = "SPARKLE_HALT";

/// Notes a step, when it is done, or when a wait begins: a line of nanoseconds, side and step.
#[expect(clippy::disallowed_methods, reason = "two processes compare their times")]
pub fn note(side: Side, step: &str) {
    let name = match side {
        Side::Client => "client",
        Side::Server => "server",
    };
    if let Some(path) = std::env::var_os(FILE) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = format!("{} {name} {step}\n", now.as_nanos());
        // Locked, as both sides write to it: not every system appends in one step (under Wine one
        // line was sometimes written over another). Who may lock on Windows is who may read.
        let file = File::options().read(true).append(true).create(true).open(path);
        // The timeline is for looking at: the work goes on without it.
        let _ = file.and_then(|mut file| {
            lock_for_a_moment(&file);
            file.write_all(line.as_bytes())?;
            file.unlock()
        });
    }
    if std::env::var(HALT).is_ok_and(|halt| halt == format!("{name}: {step}")) {
        loop {
            thread::park();
        }
    }
}

/// Locks a file, unless whoever has it locked keeps it: it may have been stopped just there, and
/// must not hold up the other side's work.
fn lock_for_a_moment(file: &File) {
    for _ in 0..50 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
            _ => return,
        }
    }
}
