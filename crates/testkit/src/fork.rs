//! Forks a child that does not call `exec`, and so keeps all descriptors of its parent.
#![expect(unsafe_code, reason = "fork without exec has no safe form")]

/// Forks a child that does nothing until it is killed.
pub fn leave_child() {
    // SAFETY: the child only calls `pause` repeatedly, which is async-signal-safe.
    if unsafe { libc::fork() } == 0 {
        loop {
            // SAFETY: `pause` has no arguments and waits for signals.
            unsafe { libc::pause() };
        }
    }
}
