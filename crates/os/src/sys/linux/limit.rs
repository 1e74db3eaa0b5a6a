//! Gives a child process, between fork and exec, the limit of descriptors with which this process
//! was started.
#![expect(unsafe_code, reason = "code that runs between fork and exec")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::check;

/// Sets the limit of descriptors of the program that the command starts.
pub(crate) fn set_descriptor_limit(command: &mut Command, limit: u64) {
    // SAFETY: the closure makes system calls and allocates nothing, and neither does making an
    // io::Error from errno.
    unsafe { command.pre_exec(move || set_own_descriptor_limit(limit)) };
}

/// Sets the soft limit of descriptors of this process. Only makes system calls.
pub(crate) fn set_own_descriptor_limit(limit: u64) -> io::Result<()> {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes the struct.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limits) })?;
    limits.rlim_cur = limits.rlim_max.min(limit);
    // SAFETY: the call reads the struct.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limits) }).map(drop)
}
