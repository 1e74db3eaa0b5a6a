//! The timeline of the sparkle sample, as all contenders do it.
//!
//! Each lap makes the file and the event anew, as the sample does; the file is in the runner's
//! folder, which is in memory (`/dev/shm`), so that no disk is measured.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::event::EventfdFlags;

/// What the client writes.
pub const CLIENT_LINES: &[u8] =
    b"Loading dishes.\nLoading detergent.\nPre-washing.\nRinsing.\nWashing.\nRinsing.\n";

/// What the server writes.
pub const SERVER_LINES: &[u8] = b"Dispensing sparkle finisher.\nRinsing.\nDrying.\nSparkly!\n";

/// The file of one client; removed with this value.
#[derive(Debug)]
pub struct Dishes(PathBuf);

impl Dishes {
    /// A name for a file, which isn't made yet.
    pub fn new() -> Self {
        Self(crate::folder().join(format!("sparkle-{}", std::process::id())))
    }

    /// Makes the file, empty.
    ///
    /// # Errors
    /// Those of `open(2)`.
    pub fn open(&self) -> io::Result<File> {
        File::options().read(true).write(true).create(true).truncate(true).open(&self.0)
    }

    /// Checks that both sides have written, in order.
    ///
    /// # Errors
    /// They haven't.
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

/// What the client does after the call: writes, says so, waits for the server, closes.
///
/// # Errors
/// Those of the file and the events.
pub fn finish(mut file: File, ready: OwnedFd, done: OwnedFd) -> io::Result<()> {
    file.write_all(CLIENT_LINES)?;
    set(&ready)?;
    wait(&done)
}

/// What the server does when the client is ready.
///
/// # Errors
/// Those of the file and the event.
pub fn decorate(mut file: File, done: &OwnedFd) -> io::Result<()> {
    file.write_all(SERVER_LINES)?;
    set(done)
}

/// Makes an event whose `wait` blocks.
///
/// # Errors
/// No descriptor left.
pub fn event() -> io::Result<OwnedFd> {
    Ok(rustix::event::eventfd(0, EventfdFlags::CLOEXEC)?)
}

/// Makes an event for those who wait in a poller.
///
/// # Errors
/// No descriptor left.
pub fn polled_event() -> io::Result<OwnedFd> {
    Ok(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Sets an event.
///
/// # Errors
/// Those of `write(2)`.
pub fn set(event: &OwnedFd) -> io::Result<()> {
    Ok(rustix::io::write(event, &1_u64.to_ne_bytes()).map(drop)?)
}

/// Waits for an event, and resets it.
///
/// # Errors
/// Those of `read(2)`: `WouldBlock` if the event isn't set and doesn't block.
pub fn wait(event: impl AsFd) -> io::Result<()> {
    Ok(rustix::io::read(event, &mut [0; 8]).map(drop)?)
}
