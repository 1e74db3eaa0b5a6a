//! The job of the sparkle timeline on tokio.

use std::fs::File;
use std::os::fd::OwnedFd;

use bench_harness::{Result, sparkle};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

/// Starts the job, which writes to the file when `ready` is set. Returns the event that the job
/// sets afterwards.
///
/// # Errors
/// No descriptor is available.
pub fn decorate_when(file: OwnedFd, ready: OwnedFd) -> Result<OwnedFd> {
    let done = sparkle::event()?;
    let signal = done.try_clone()?;
    // An event is read like a pipe, and tokio has no type for events.
    let mut ready = Receiver::from_owned_fd_unchecked(ready)?;
    tokio::spawn(async move {
        if ready.read_exact(&mut [0; 8]).await.is_ok() {
            // If the job fails, the client notices the missing lines in the file.
            let _ = sparkle::decorate(File::from(file), &signal);
        }
    });
    Ok(done)
}
