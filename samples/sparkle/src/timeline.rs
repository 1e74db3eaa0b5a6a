//! Records when the steps of both processes happen, to show their timeline.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// The environment variable with the path of the timeline. Without it, nothing is recorded.
pub const FILE: &str = "SPARKLE_TIMELINE";

/// The environment variable that names a step at which the process stops, for example `server:
/// write to file handle`. Tests use it to kill a process at that step.
pub const HALT: &str = "SPARKLE_HALT";

/// Appends a line to the timeline: the time in nanoseconds, the side and the step. A step is
/// recorded when it is completed, or when its wait starts.
#[expect(clippy::disallowed_methods, reason = "two processes compare their times")]
pub fn note(side: Side, step: &str) {
    let name = match side {
        Side::Client => "client",
        Side::Server => "server",
    };
    if let Some(path) = std::env::var_os(FILE) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = format!("{} {name} {step}\n", now.as_nanos());
        // Both sides append to the file, and appending isn't atomic on every system. Under Wine,
        // lines were sometimes overwritten, so the file is locked. On Windows, locking requires
        // read access.
        let file = File::options().read(true).append(true).create(true).open(path);
        // An error is ignored, because the timeline is only informative.
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

/// Locks a file, but gives up after about 50 ms. The other process may have been stopped while it
/// held the lock, and must not block this process.
fn lock_for_a_moment(file: &File) {
    for _ in 0..50 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
            _ => return,
        }
    }
}
