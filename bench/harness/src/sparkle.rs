//! The timeline of the sparkle sample, as all contenders perform it.
//!
//! Each lap creates a new file and event, as the sample does. The file is in the runner's folder,
//! which is in memory (`/dev/shm`), so that no disk is measured.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::event::EventfdFlags;

/// The lines that the client writes.
pub const CLIENT_LINES: &[u8] =
    b"Loading dishes.\nLoading detergent.\nPre-washing.\nRinsing.\nWashing.\nRinsing.\n";

/// The lines that the server writes.
pub const SERVER_LINES: &[u8] = b"Dispensing sparkle finisher.\nRinsing.\nDrying.\nSparkly!\n";

/// The file of one client, removed when dropped.
#[derive(Debug)]
pub struct Dishes(PathBuf);

impl Dishes {
    /// Chooses a file name. The file isn't created yet.
    pub fn new() -> Self {
        Self(crate::folder().join(format!("sparkle-{}", std::process::id())))
    }

    /// Creates an empty file.
    ///
    /// # Errors
    /// The errors of `open(2)`.
    pub fn open(&self) -> io::Result<File> {
        File::options().read(true).write(true).create(true).truncate(true).open(&self.0)
    }

    /// Checks that both sides have written their lines in order.
    ///
    /// # Errors
    /// The file has other contents.
    pub fn check(&self) -> io::Result<()> {
        match std::fs::read(&self.0)? == [CLIENT_LINES, SERVER_LINES].concat() {
            true => Ok(()),
            false => Err(io::Error::other("the file isn't sparkly")),
        }
    }
}

impl Default for Dishes {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Dishes {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Performs the client's steps after the call: writes, signals, waits for the server, closes.
///
/// # Errors
/// The errors of the file and the events.
pub fn finish(mut file: File, ready: OwnedFd, done: OwnedFd) -> io::Result<()> {
    file.write_all(CLIENT_LINES)?;
    set(&ready)?;
    wait(&done)
}

/// Performs the server's steps after the client's signal.
///
/// # Errors
/// The errors of the file and the event.
pub fn decorate(mut file: File, done: &OwnedFd) -> io::Result<()> {
    file.write_all(SERVER_LINES)?;
    set(done)
}

/// Creates an event for blocking waits.
///
/// # Errors
/// No descriptor is available.
pub fn event() -> io::Result<OwnedFd> {
    Ok(rustix::event::eventfd(0, EventfdFlags::CLOEXEC)?)
}

/// Creates an event for waiting with a poller.
///
/// # Errors
/// No descriptor is available.
pub fn polled_event() -> io::Result<OwnedFd> {
    Ok(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Sets an event.
///
/// # Errors
/// The errors of `write(2)`.
pub fn set(event: &OwnedFd) -> io::Result<()> {
    Ok(rustix::io::write(event, &1_u64.to_ne_bytes()).map(drop)?)
}

/// Waits for an event and resets it.
///
/// # Errors
/// The errors of `read(2)`: `WouldBlock` if the event isn't set and doesn't block.
pub fn wait(event: impl AsFd) -> io::Result<()> {
    Ok(rustix::io::read(event, &mut [0; 8]).map(drop)?)
}
