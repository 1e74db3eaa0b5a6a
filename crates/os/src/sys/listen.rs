//! Taking over the socket that an activator passed by the `LISTEN_FDS` protocol.
#![expect(unsafe_code, reason = "a descriptor by its number, as the protocol has it")]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// How many clients may queue: more than any system lets by default; the kernel lowers it to its own
/// limit.
pub(crate) const BACKLOG: i32 = 4096;

/// The first descriptor that the protocol passes (`SD_LISTEN_FDS_START`).
pub(crate) const FIRST: RawFd = 3;

/// The first descriptor that was passed. The caller has read in the environment that there is one;
/// `None` when it isn't open, or was taken before.
pub(crate) fn take_first() -> Option<OwnedFd> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    // SAFETY: only asks whether the descriptor is open.
    let open = unsafe { libc::fcntl(FIRST, libc::F_SETFD, libc::FD_CLOEXEC) } != -1;
    if !open || TAKEN.swap(true, Ordering::SeqCst) {
        return None;
    }
    // SAFETY: the activator opened it for this program to own, says so in the environment with this
    // process's id, and it is taken once.
    Some(unsafe { OwnedFd::from_raw_fd(FIRST) })
}
