//! The background task of the sparkle timeline on tokio.

use std::fs::File;
use std::os::fd::OwnedFd;

use bench_harness::{Result, sparkle};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

/// Starts the background task, which writes to the file when `ready` is set. Returns the event that
/// the task sets afterwards.
///
/// # Errors
/// No descriptor is available.
pub fn decorate_when(file: OwnedFd, ready: OwnedFd) -> Result<OwnedFd> {
    let done = sparkle::event()?;
    let signal = done.try_clone()?;
    // tokio has no type for events. Its pipe works, because an event is read like a pipe.
    let mut ready = Receiver::from_owned_fd_unchecked(ready)?;
    tokio::spawn(async move {
        if ready.read_exact(&mut [0; 8]).await.is_ok() {
            // If the task fails, the client notices the missing lines in the file.
            let _ = sparkle::decorate(File::from(file), &signal);
        }
    });
    Ok(done)
}
