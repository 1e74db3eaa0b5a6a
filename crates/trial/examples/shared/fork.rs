//! A child that is forked and doesn't exec: it keeps every descriptor of its parent.
#![expect(unsafe_code, reason = "fork without exec has no safe form")]

/// Forks a child that does nothing, until it is killed.
pub(crate) fn leave_child() {
    // SAFETY: the child makes only one system call, again and again.
    if unsafe { libc::fork() } == 0 {
        loop {
            // SAFETY: only waits for signals.
            unsafe { libc::pause() };
        }
    }
}
