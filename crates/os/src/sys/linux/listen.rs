//! Takes over the sockets that an activator passed by the `LISTEN_FDS` protocol.
#![expect(unsafe_code, reason = "takes over a descriptor by its number, as the protocol specifies")]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Maximum number of clients in the queue. The value is above the default limit of all systems, and
/// the kernel reduces it to the system's limit.
pub(crate) const BACKLOG: i32 = 4096;

/// The number of the first descriptor that the protocol passes (`SD_LISTEN_FDS_START`).
pub(crate) const FIRST: RawFd = 3;

/// Takes the first passed descriptor. The caller has checked in the environment that there is one.
/// Returns `None` if it isn't open or was already taken.
pub(crate) fn take_first() -> Option<OwnedFd> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    // SAFETY: the call accesses no memory. It sets the close-on-exec flag, and fails if the
    // descriptor isn't open.
    let open = unsafe { libc::fcntl(FIRST, libc::F_SETFD, libc::FD_CLOEXEC) } != -1;
    if !open || TAKEN.swap(true, Ordering::SeqCst) {
        return None;
    }
    // SAFETY: the activator opened the descriptor for this program to own, which the process ID in
    // the environment confirms. The descriptor is taken only once.
    Some(unsafe { OwnedFd::from_raw_fd(FIRST) })
}
