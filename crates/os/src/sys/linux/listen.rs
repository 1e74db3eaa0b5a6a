//! Takes over the socket that an activator passed by the `LISTEN_FDS` protocol.
#![expect(unsafe_code, reason = "a descriptor by its number, as the protocol has it")]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Limits the clients that may queue. The value is above the default limits of all systems, and the
/// kernel lowers it to its own limit.
pub(crate) const BACKLOG: i32 = 4096;

/// The first descriptor that the protocol passes (`SD_LISTEN_FDS_START`).
pub(crate) const FIRST: RawFd = 3;

/// Takes the first descriptor that was passed. The caller has checked in the environment that there
/// is one. Returns `None` if it isn't open, or was taken before.
pub(crate) fn take_first() -> Option<OwnedFd> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    // SAFETY: no memory is involved. The call sets the close-on-exec flag, and fails if the
    // descriptor isn't open.
    let open = unsafe { libc::fcntl(FIRST, libc::F_SETFD, libc::FD_CLOEXEC) } != -1;
    if !open || TAKEN.swap(true, Ordering::SeqCst) {
        return None;
    }
    // SAFETY: the activator opened the descriptor for this program to own. The environment says so
    // with this process's id, and the descriptor is taken only once.
    Some(unsafe { OwnedFd::from_raw_fd(FIRST) })
}
