//! Moves a child to another user namespace, between fork and exec.
#![expect(unsafe_code, reason = "code that runs between fork and exec")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::check;

/// Makes the program of the command run in the namespace. The command takes ownership of the
/// handle.
pub(crate) fn enter_user_namespace(command: &mut Command, namespace: OwnedFd) {
    let enter = move || -> io::Result<()> {
        // SAFETY: no memory is involved; the descriptor is open, because the closure owns it.
        check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWUSER) }).map(drop)
    };
    // SAFETY: the closure makes one system call and allocates nothing, and neither does making an
    // io::Error from errno.
    unsafe { command.pre_exec(enter) };
}
