//! Forks a child that does not call `exec`, and so keeps all descriptors of its parent open.
#![expect(unsafe_code, reason = "fork without exec has no safe wrapper")]

/// Forks a child that does nothing until it is killed.
pub fn leave_child() {
    // SAFETY: the child only calls `pause`, which is async-signal-safe.
    if unsafe { libc::fork() } == 0 {
        loop {
            // SAFETY: `pause` takes no arguments, and waits for a signal.
            unsafe { libc::pause() };
        }
    }
}
